"""Keys, principals and links: pure rules."""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

DEFAULT_WORKSPACE = "default"
MAX_LABEL_LENGTH = 200
"""Characters of the name of a key or a workspace."""
KEY_PREFIX = "gm_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY = 43  # base62 digits that hold 256 bits
_CHECKSUM = 6  # base62 digits that hold 32 bits
_KEY = re.compile(rf"{KEY_PREFIX}([0-9A-Za-z]{{{_BODY}}})([0-9A-Za-z]{{{_CHECKSUM}}})", re.ASCII)
_HINT = 8


class Scope(StrEnum):
    """What a key reaches. Each implies those before it: `write` reads, `admin` does everything."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.READ, Scope.WRITE}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a valid key stands for. `dataset_ids`: the only datasets it reaches; `None`: all."""

    key_id: UUID
    workspace_id: UUID
    scopes: frozenset[Scope]
    dataset_ids: frozenset[UUID] | None = None

    @property
    def holder_id(self) -> UUID:
        """Whose idempotency keys these are: a key limited to datasets shares none with its workspace."""
        return self.workspace_id if self.dataset_ids is None else self.key_id

    def allows(self, scope: str) -> bool:
        """Whether one of the key's scopes is, or implies, `scope`."""
        return any(scope in _IMPLIED[held] for held in self.scopes)

    def reaches_dataset(self, dataset_id: UUID) -> bool:
        """Whether the key may see the dataset, given that it is of its workspace."""
        return self.dataset_ids is None or dataset_id in self.dataset_ids


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key; the key itself is known to its owner only, `hint` is how it starts."""

    key_id: UUID
    workspace_id: UUID
    name: str
    hint: str
    scopes: frozenset[Scope]
    dataset_ids: frozenset[UUID] | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """What a signed link opens: one object of one workspace, until a moment."""

    kind: str
    object_id: UUID
    workspace_id: UUID
    expires_at: datetime


def make_key() -> str:
    """A new key: `gm_`, 256 random bits in base62, and a CRC-32 that catches typing errors."""
    body = _to_base62(secrets.randbits(256), _BODY)
    return KEY_PREFIX + body + _checksum(body)


def is_well_formed_key(text: str) -> bool:
    """Whether `text` looks like a key of ours and its checksum holds."""
    match = _KEY.fullmatch(text)
    return match is not None and _checksum(match[1]) == match[2]


def hash_key(secret: bytes, key: str) -> bytes:
    """What is stored of a key: HMAC-SHA256 under the installation's secret (32 bytes).

    A fast hash is enough for 256 random bits, and a stolen table without the secret tells nothing.
    """
    return hmac.digest(derive_key(secret, b"api-key"), key.encode(), hashlib.sha256)


def hint_of(key: str) -> str:
    """The start of a key, to tell it from others: too short to be of use."""
    return key[: len(KEY_PREFIX) + _HINT - 3]


def sign(secret: bytes, message: bytes) -> bytes:
    """The signature (32 bytes) of a link's text under the installation's secret."""
    return hmac.digest(derive_key(secret, b"link"), message, hashlib.sha256)


def derive_key(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose, so that a signature of one kind is never one of another."""
    return hmac.digest(secret, b"gridmill/" + purpose, hashlib.sha256)


def _checksum(body: str) -> str:
    return _to_base62(zlib.crc32(body.encode()), _CHECKSUM)


def _to_base62(number: int, digits: int) -> str:
    found: list[str] = []
    for _ in range(digits):
        number, digit = divmod(number, len(_ALPHABET))
        found.append(_ALPHABET[digit])
    return "".join(reversed(found))
