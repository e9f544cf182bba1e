"""A model server that is no model, in a process of its own."""

import json
from dataclasses import dataclass
from typing import Any

import httpx2

CONCURRENCY = 16


@dataclass(frozen=True)
class FakeModel:
    """Where it listens, and what to do with it while it runs."""

    url: str

    def counts(self) -> dict[str, int]:
        """Calls, answered, in_flight, peak, distinct."""
        return json.loads(httpx2.get(self.url.removesuffix("/v1") + "/fake").text)

    def behave(self, **fields: Any) -> None:
        """Change how it answers from now on."""
        httpx2.post(self.url.removesuffix("/v1") + "/fake", json=fields).raise_for_status()

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a server that asks this model."""
        return {
            "GRIDMILL_LLM_BASE_URL": self.url,
            "GRIDMILL_LLM_API_KEY": "fake-key",
            "GRIDMILL_LLM_MODEL": "fake-model",
            "GRIDMILL_LLM_MAX_CONCURRENCY": str(CONCURRENCY),
        }
