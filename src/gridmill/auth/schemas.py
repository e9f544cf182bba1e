"""Wire shapes of keys."""

import re
from datetime import UTC
from typing import Annotated, Self, TypeAlias

from pydantic import AwareDatetime, BeforeValidator, Field, field_validator, model_validator

from gridmill.auth.model import MAX_LABEL_LENGTH, ApiKey, Scope
from gridmill.kit.clock import now, to_wire
from gridmill.kit.http import PAGE_LIMIT, PaginationReply, WireModel

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.ASCII)

_MOST_DATASETS = 1_000


def _check_iso(moment: object) -> object:
    if not isinstance(moment, str) or not _ISO.fullmatch(moment):
        raise ValueError("This must be ISO 8601 with a zone, such as 2030-01-31T12:00:00Z.")
    return moment


# Behind a validator of our own, strict parsing would no longer take JSON's strings for times.
_Moment: TypeAlias = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_check_iso)]


class KeyCreate(WireModel):
    """A key to make."""

    name: str = Field(min_length=1, max_length=MAX_LABEL_LENGTH, description="What people call it")
    scopes: list[Scope] = Field(
        min_length=1, max_length=3, description="`write` implies `read`, `admin` implies both"
    )
    expires_at: _Moment | None = Field(
        default=None, description="When it stops, ISO 8601 with a zone; never, when left out"
    )
    dataset_ids: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_DATASETS,
        description="The only datasets it reaches; all of the workspace, when left out",
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("This must not be blank.")
        return name

    @field_validator("expires_at")
    @classmethod
    def _check_expiry(cls, moment: AwareDatetime | None) -> AwareDatetime | None:
        if moment is None:
            return None
        if moment <= now():
            raise ValueError("This must be in the future.")
        try:
            moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("This must be before the year 10000 in UTC.") from None
        return moment

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        if self.dataset_ids is not None and Scope.ADMIN in self.scopes:
            raise ValueError("A key with the scope 'admin' cannot be limited to datasets.")
        return self


class KeyItem(WireModel):
    """A key, without the key."""

    key_id: str
    name: str
    hint: str = Field(description="How the key starts")
    scopes: list[Scope] = Field(max_length=3)
    dataset_ids: list[str] | None = Field(max_length=_MOST_DATASETS)
    created_at: str
    expires_at: str | None


class KeyWithSecret(KeyItem):
    """A key as it is shown once."""

    key: str | None = Field(
        None, description="Shown once: a repeat by Idempotency-Key leaves it out"
    )


class KeyList(WireModel):
    """A page of keys."""

    keys: list[KeyItem] = Field(max_length=PAGE_LIMIT)
    pagination: PaginationReply


def to_item(key: ApiKey) -> dict[str, object]:
    """A key as the API shows it."""
    ids = key.dataset_ids
    return {
        "keyId": key.key_id,
        "name": key.name,
        "hint": key.hint,
        "scopes": [scope for scope in Scope if scope in key.scopes],
        "datasetIds": None if ids is None else sorted(str(dataset_id) for dataset_id in ids),
        "createdAt": to_wire(key.created_at),
        "expiresAt": to_wire(key.expires_at),
    }
