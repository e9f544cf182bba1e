"""Wire shapes of keys."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, field_validator, model_validator

from gridmill.auth.model import ApiKey, Scope
from gridmill.kit.clock import now, to_wire
from gridmill.kit.http import PaginationReply, WireModel
from gridmill.kit.ids import parse_uuid


class KeyCreate(WireModel):
    """A key to make."""

    name: str = Field(min_length=1, max_length=200, description="What people call it")
    scopes: list[Scope] = Field(
        min_length=1, max_length=3, description="`write` implies `read`, `admin` implies both"
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it stops, ISO 8601 with a zone; never, when left out"
    )
    dataset_ids: list[Annotated[str, Field(max_length=64)]] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
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
        if moment is not None and moment <= now():
            raise ValueError("This must be in the future.")
        return moment

    @field_validator("dataset_ids")
    @classmethod
    def _check_ids(cls, ids: list[str] | None) -> list[str] | None:
        for text in ids or ():
            if parse_uuid(text) is None:
                raise ValueError(f"{text!r} is no dataset id.")
        return ids

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        if self.dataset_ids is not None and Scope.ADMIN in self.scopes:
            raise ValueError("A key with the scope 'admin' cannot be limited to datasets.")
        return self

    @property
    def dataset_uuids(self) -> list[UUID] | None:
        """The ids as stored."""
        return None if self.dataset_ids is None else [UUID(text) for text in self.dataset_ids]


class KeyItem(WireModel):
    """A key, without the key."""

    key_id: str
    name: str
    hint: str = Field(description="How the key starts")
    scopes: list[Scope]
    dataset_ids: list[str] | None
    created_at: str
    expires_at: str | None


class KeyWithSecret(KeyItem):
    """A key as it is shown once."""

    key: str


class KeyList(WireModel):
    """A page of keys."""

    keys: list[KeyItem]
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
