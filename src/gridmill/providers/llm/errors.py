"""The drawn tree of what can go wrong at a model. Whether to try again is data, not a class to know.

    ModelError
      ProviderRefused        key, quota, unknown model: no request of the task can succeed
      ProviderUnavailable    5xx, no connection, a reply that breaks off
        ProviderLimited      429
      ProviderTimeout        the deadline passed
      RequestRefused         this one request: too long, filtered, malformed
      InvalidReply           the model answered, and not with what was asked, twice
      BudgetReached          not sent: it might have cost more than is left
      UnknownModel           its provider is not configured

Messages are for people and safe to show and store: clipped, scrubbed of keys.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from gridmill.providers.llm.model import NOTHING_SPENT, Usage


class ModelError(Exception):
    """A request without an answer.

    `code` names the kind for programs, `message` is for people, `usage` is what was spent all the
    same. `retryable` says that the same request may succeed later (the gateway has already tried
    as often as its deadline allows).
    """

    code: ClassVar[str] = "PROVIDER_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, usage: Usage = NOTHING_SPENT) -> None:
        super().__init__(message)
        self.message = message
        self.usage = usage


class ProviderRefused(ModelError):
    """401, 402, 403, an empty credit, an unknown model: the whole task fails, nothing is tried again."""

    code = "PROVIDER_REFUSED"


class ProviderUnavailable(ModelError):
    """The provider is away or broken: 5xx, no connection, a reply cut off."""

    code = "PROVIDER_UNAVAILABLE"
    retryable = True

    def __init__(
        self, message: str, *, retry_after: float | None = None, usage: Usage = NOTHING_SPENT
    ) -> None:
        super().__init__(message, usage=usage)
        self.retry_after = retry_after


class ProviderLimited(ProviderUnavailable):
    """429: too fast. `retry_after` is what the provider asked for, in seconds."""

    code = "PROVIDER_LIMITED"


class ProviderTimeout(ModelError):
    """No answer before the deadline."""

    code = "PROVIDER_TIMEOUT"
    retryable = True


class RequestRefused(ModelError):
    """The provider will not answer this request: too long for the model, filtered, malformed."""

    code = "REQUEST_REFUSED"


class InvalidReply(ModelError):
    """The reply did not fit after one turn of repair.

    `problems` are the last ones found; `data` is the last reply that was a JSON object at all, so
    that a caller may keep the parts that hold. Never stored.
    """

    code = "INVALID_REPLY"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[str] = (),
        data: dict[str, Any] | None = None,
        usage: Usage = NOTHING_SPENT,
    ) -> None:
        super().__init__(message, usage=usage)
        self.problems = tuple(problems)
        self.data = data


class BudgetReached(ModelError):
    """The budget holds no further call; nothing was sent."""

    code = "BUDGET_REACHED"


class PriceMissing(BudgetReached):
    """A limit in dollars cannot be kept for a model without a price; nothing was sent."""


class UnknownModel(ModelError):
    """A model was named whose provider is not configured."""

    code = "MODEL_UNKNOWN"
