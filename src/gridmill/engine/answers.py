"""Answers of models, kept in PostgreSQL for every worker and after every crash."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from gridmill.kit.errors import Unavailable
from gridmill.providers.llm.model import Answer
from gridmill.providers.llm.ports import NewAnswer
from gridmill.storage.database import Database

_FORGET_SECONDS = 3600.0
_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(Answer).decode

_SAVE = """
INSERT INTO model_answers
    (workspace_id, key, provider, model, answer, prompt_tokens, completion_tokens, created_at)
SELECT workspace_id, key, provider, model, answer, prompt_tokens, completion_tokens, clock_timestamp()
FROM unnest(%s::uuid[], %s::bytea[], %s::text[], %s::text[], %s::text[], %s::int[], %s::int[])
    AS fresh (workspace_id, key, provider, model, answer, prompt_tokens, completion_tokens)
ON CONFLICT (workspace_id, key) DO UPDATE SET
    answer = excluded.answer,
    prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens,
    created_at = excluded.created_at
"""


class PostgresAnswers:
    """The `AnswerStore` on table `model_answers`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self, workspace_id: UUID, keys: Sequence[bytes], *, since: datetime | None = None
    ) -> Mapping[bytes, Answer]:
        """See the port. Raises `Unavailable` when the database is away."""
        if not keys:
            return {}
        async with self._database.transaction(read_only=True, workspace_id=workspace_id) as tx:
            cursor = await tx.execute(
                "SELECT key, answer FROM model_answers"
                " WHERE workspace_id = %s AND key = ANY(%s::bytea[])"
                " AND (%s::timestamptz IS NULL OR created_at >= %s)",
                (workspace_id, list(keys), since, since),
            )
            return {bytes(key): _decode(answer) for key, answer in await cursor.fetchall()}

    async def save(self, answers: Sequence[NewAnswer]) -> None:
        """See the port. Raises `Unavailable` when the database is away."""
        if not answers:
            return
        # In one order for everyone, so that two workers with the same answers never deadlock.
        rows = sorted(answers, key=lambda answer: (answer.workspace_id, answer.key))
        # Every call waits in its slot for this: one round trip, not three.
        await self._database.run_alone(
            _SAVE,
            (
                [row.workspace_id for row in rows],
                [row.key for row in rows],
                [row.provider for row in rows],
                [row.model for row in rows],
                [msgspec.json.encode(row.data).decode() for row in rows],
                [row.prompt_tokens for row in rows],
                [row.completion_tokens for row in rows],
            ),
        )

    async def forget_old(self, age: timedelta) -> None:
        """Delete answers older than `age`, now and every hour, until cancelled."""
        while True:
            try:
                await self._database.run_alone(
                    "DELETE FROM model_answers WHERE created_at < clock_timestamp() - %s", (age,)
                )
            except Unavailable as error:
                _log.info("old answers stay for now: %s", error.message)
            await asyncio.sleep(_FORGET_SECONDS)
