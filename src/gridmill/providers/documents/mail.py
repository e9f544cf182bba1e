"""Mail (EML) to pages: who wrote when about what, the text, and the names of what is attached."""

import email
import email.errors
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.flow import Flow
from gridmill.providers.documents.html import find_charset, write_html
from gridmill.providers.documents.model import Page

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MAX_ATTACHMENTS = 200


def read_mail(path: Path, encoding: str) -> Iterator[Page]:
    """The pages of a message: headers, then its HTML as it shows (else its plain text).

    Attachments are named and not read; nothing is fetched.

    Raises:
        UnreadableDocument: its parts are nested too deep, or it is no message.
    """
    with path.open("rb") as file:
        try:
            message = email.message_from_binary_file(file, policy=email.policy.default)
            yield from _read(message, encoding)
        except (RecursionError, email.errors.MessageError, LookupError, ValueError) as error:
            raise UnreadableDocument(
                f"The message cannot be read: {str(error)[:200] or 'its parts are nested too deep'}."
            ) from None


def _read(message: EmailMessage, encoding: str) -> Iterator[Page]:
    flow = Flow()
    lines = [f"{name}: {_one_line(message[name])}" for name in _HEADERS if message[name]]
    flow.add("\n".join(lines))
    body = message.get_body(("html", "plain"))
    if body is not None:
        content = body.get_payload(decode=True)
        raw = content if isinstance(content, bytes) else b""
        charset = body.get_content_charset() or encoding
        if body.get_content_subtype() == "html" and raw.strip():
            write_html(flow, raw, _known(find_charset(raw) or charset))
        else:
            text = raw.decode(_known(charset), "replace").replace("\r\n", "\n")
            for section in text.split("\f"):
                flow.add(section)
    names: list[str] = []
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        size = f", {len(content):,} bytes" if isinstance(content, bytes) else ""
        name = _one_line(part.get_filename() or "without a name")
        names.append(f"Attachment: {name} ({part.get_content_type()}{size})")
        if len(names) >= _MAX_ATTACHMENTS:
            break
    flow.add("\n".join(names))
    yield from flow.take_pages()


def _one_line(value: object) -> str:
    return " ".join(str(value).split())[:2_000]


def _known(charset: str) -> str:
    try:
        "".encode(charset)
    except (LookupError, UnicodeError):
        return "latin-1"
    return charset
