"""XML to pages: elements as `name: value` lines, mixed content as paragraphs.

No entity is expanded, no document type is loaded and nothing is fetched.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from gridmill.providers.documents.elements import Element, check_memory
from gridmill.providers.documents.errors import UnreadableDocument
from gridmill.providers.documents.flow import Flow
from gridmill.providers.documents.model import Page

_HEAD = 1 << 16
_ENTITY = re.compile(rb"<\0?!\0?E\0?N\0?T\0?I\0?T\0?Y", re.IGNORECASE)
_REFUSED = (
    "The XML declares entities or loads a document type, which are not expanded. "
    "Save it without a document type declaration."
)


def read_xml(path: Path, encoding: str) -> Iterator[Page]:  # noqa: ARG001 (XML says its own)
    """The pages of an XML file.

    Raises:
        UnreadableDocument: it is not well-formed (the message names the line), or declares entities.
    """
    root = parse_xml(path.read_bytes())
    flow = Flow()
    _write(flow, root)
    yield from flow.take_pages()


def parse_xml(raw: bytes) -> Element:
    """The root of an XML text that says nothing of entities. Raises `UnreadableDocument`."""
    if _ENTITY.search(raw[:_HEAD]):
        raise UnreadableDocument(_REFUSED)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        check_memory(parser.error_log)
        place = f"line {error.lineno}" if error.lineno else "its start"
        raise UnreadableDocument(
            f"The XML is broken at {place}: {str(error.msg or 'it is empty')[:200]}."
        ) from None
    except ValueError as error:
        raise UnreadableDocument(f"The XML cannot be read: {str(error)[:200]}.") from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(iter(declared.iterentities()), None) is not None:
        raise UnreadableDocument(_REFUSED)
    return root


def _write(flow: Flow, root: Element) -> None:
    """Each element by itself, but one with text between its children as a whole."""
    walker = etree.iterwalk(root, events=("start", "end", "comment"))
    opened = True
    for event, element in walker:
        if event == "comment":
            flow.add_hidden(element.text or "")
        elif event == "start":
            if len(element) and not _is_mixed(element):
                opened = True
                for name, value in element.attrib.items():
                    flow.add(_label(_name(str(name)), str(value)), tight=not opened)
                    opened = False
                continue
            walker.skip_subtree()
            for comment in element.iter(etree.Comment):
                flow.add_hidden(comment.text or "")
            text = " ".join("".join(element.itertext("*")).split())
            lines = [_label(_name(element.tag), text)] if text else []
            lines += [
                _label(_name(str(name)), str(value)) for name, value in element.attrib.items()
            ]
            if lines:
                flow.add("\n".join(lines), tight=not opened and not len(element))
                opened = len(element) > 0
        elif len(element) and not _is_mixed(element):
            opened = True


def _is_mixed(element: Element) -> bool:
    if (element.text or "").strip():
        return True
    return any((child.tail or "").strip() for child in element)


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _label(name: str, value: str) -> str:
    value = " ".join(value.split())
    return f"{name}: {value}" if value else ""
