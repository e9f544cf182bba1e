"""Multipart uploads, streamed: files go straight to disk, whatever their size.

The same reader serves `POST /datasources` and `POST /datasets/upload`.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from gridmill.datasources.errors import FileTooLarge
from gridmill.datasources.model import MAX_FILE_BYTES
from gridmill.kit.errors import InvalidText, UnsupportedMediaType, ValidationFailed
from gridmill.kit.text import check_text

_MAX_PARTS = 100
_MAX_FIELD_BYTES = 64 * 2**10
_MAX_NAME_LENGTH = 255
_OVERHEAD = 2**20
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ESCAPED = {"%22": '"', "%0D": "", "%0A": ""}


@dataclass(frozen=True, slots=True)
class UploadForm:
    """Which parts a form may have: text fields, and fields whose parts are files."""

    fields: frozenset[str]
    file_fields: frozenset[str]
    max_files: int = 1


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file on disk, there until the upload's context ends; `size` in bytes."""

    file_name: str
    declared_type: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that was received whole; `digest` (32 bytes) is of its parts, without boundaries."""

    fields: dict[str, str]
    files: list[ReceivedFile]
    digest: bytes


@asynccontextmanager
async def receive_upload(request: Request, form: UploadForm) -> AsyncGenerator[Upload]:
    """Receive a multipart body; its files are deleted at exit.

    Memory stays at the size of a network chunk. Open the transaction after this, not before.

    Raises:
        UnsupportedMediaType (415): the body is no multipart/form-data.
        FileTooLarge (413): judged by Content-Length at once, else as soon as it is passed.
        ValidationFailed (422): unknown, repeated or missing parts, or a body that breaks off.
        InvalidText (422): a text field that is not UTF-8 or holds U+0000.
    """
    boundary = _find_boundary(request)
    _check_length(request, form)
    folder = Path(tempfile.mkdtemp(prefix="gridmill-upload-"))
    receiver = _Receiver(folder, form)
    try:
        await _feed(request, boundary, receiver)
        yield receiver.finish()
    finally:
        receiver.close()
        shutil.rmtree(folder, ignore_errors=True)


def _find_boundary(request: Request) -> bytes:
    declared = request.headers.get("content-type")
    kind, options = parse_options_header(declared)
    if kind != b"multipart/form-data":
        raise UnsupportedMediaType(
            "Send the file as multipart/form-data.", details={"supported": ["multipart/form-data"]}
        )
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise ValidationFailed.of("", "The Content-Type header names no usable boundary.")
    return boundary


def _check_length(request: Request, form: UploadForm) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal():
        limit = form.max_files * MAX_FILE_BYTES + _OVERHEAD
        if len(declared) > 15 or int(declared) > limit:
            raise FileTooLarge(MAX_FILE_BYTES)


async def _feed(request: Request, boundary: bytes, receiver: "_Receiver") -> None:
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": receiver.begin_part,
            "on_header_field": receiver.add_header_name,
            "on_header_value": receiver.add_header_value,
            "on_header_end": receiver.end_header,
            "on_headers_finished": receiver.open_part,
            "on_part_data": receiver.add_data,
            "on_part_end": receiver.end_part,
            "on_end": receiver.end,
        },
        max_header_size=8 * 2**10,
    )
    try:
        async for chunk in request.stream():
            if chunk:
                parser.write(chunk)
    except FormParserError:
        raise ValidationFailed.of("", "The body is not well-formed multipart.") from None
    except ClientDisconnect:
        # Nobody reads the reply; the request ends without an effect.
        raise ValidationFailed.of("", "The body ended before it was complete.") from None


@dataclass
class _Part:
    name: str = ""
    file_name: str | None = None
    declared_type: str = ""
    text: bytearray = field(default_factory=bytearray)
    path: Path | None = None
    size: int = 0


class _Receiver:
    """Takes the parser's callbacks; a part at a time is open."""

    def __init__(self, folder: Path, form: UploadForm) -> None:
        self._folder = folder
        self._form = form
        self._fields: dict[str, str] = {}
        self._files: list[ReceivedFile] = []
        self._part = _Part()
        self._headers: dict[str, str] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._file: BinaryIO | None = None
        self._parts = 0
        self._digest = hashlib.blake2b(digest_size=32)
        self._ended = False

    def begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise ValidationFailed.of("", f"The form has over {_MAX_PARTS} parts.")
        self._part = _Part()
        self._headers = {}

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def end_header(self) -> None:
        name = self._header_name.decode("latin-1").lower()
        self._headers[name] = self._header_value.decode("latin-1")
        self._header_name.clear()
        self._header_value.clear()

    def open_part(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        part = self._part
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        part.declared_type = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if b"filename" in options:
            part.file_name = clean_file_name(options[b"filename"].decode("utf-8", "replace"))
        head = repr((part.name, part.file_name, part.declared_type)).encode("utf-8", "replace")
        self._digest.update(head + len(head).to_bytes(8, "big"))
        if part.name in self._form.file_fields:
            self._open_file()
        elif part.name not in self._form.fields:
            raise ValidationFailed.of(part.name[:100], "This field is not known.")
        elif part.file_name is not None:
            raise ValidationFailed.of(part.name, "This field is a text, not a file.")
        elif part.name in self._fields:
            raise ValidationFailed.of(part.name, "This field may be given once.")

    def _open_file(self) -> None:
        if len(self._files) >= self._form.max_files:
            most = self._form.max_files
            raise ValidationFailed.of(
                self._part.name, f"At most {most} file{'' if most == 1 else 's'} may be sent."
            )
        self._part.path = self._folder / str(len(self._files))
        self._file = self._part.path.open("wb")

    def add_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size += end - start
        self._digest.update(memoryview(data)[start:end])
        if self._file is not None:
            if part.size > MAX_FILE_BYTES:
                raise FileTooLarge(MAX_FILE_BYTES)
            self._file.write(memoryview(data)[start:end])
            return
        if part.size > _MAX_FIELD_BYTES:
            raise ValidationFailed.of(part.name, "This text is too long.")
        part.text += data[start:end]

    def end_part(self) -> None:
        part = self._part
        self._digest.update(part.size.to_bytes(8, "big"))
        if self._file is None or part.path is None:
            try:
                text = part.text.decode()
            except UnicodeDecodeError:
                raise InvalidText(f"{part.name}: The text is not UTF-8.") from None
            self._fields[part.name] = check_text(text, part.name)
            return
        self.close()
        name = part.file_name or "upload"
        self._files.append(ReceivedFile(name, part.declared_type, part.path, part.size))

    def end(self) -> None:
        self._ended = True

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def finish(self) -> Upload:
        if not self._ended:
            raise ValidationFailed.of("", "The body ended before it was complete.")
        if not self._files:
            names = " or ".join(sorted(self._form.file_fields))
            raise ValidationFailed.of(names, "A file is required.")
        return Upload(self._fields, self._files, self._digest.digest())


def clean_file_name(raw: str) -> str:
    """A client's file name without folders and control characters, at most 255 characters."""
    for escape, character in _ESCAPED.items():
        raw = raw.replace(escape, character)
    last = re.split(r"[/\\]", raw)[-1]
    return _FORBIDDEN.sub("", last).strip()[-_MAX_NAME_LENGTH:]
