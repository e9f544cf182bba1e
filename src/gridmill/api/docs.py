"""/docs: the OpenAPI document as one plain page, which loads nothing from anywhere."""

from html import escape
from typing import Any, TypeAlias

import orjson

Json: TypeAlias = dict[str, Any]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2430; background: #fff }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5dbe3 }
details { border: 1px solid #d5dbe3; border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer } summary b { display: inline-block; width: 4.2rem; color: #0b62a4 }
code, pre { font: 13px/1.45 ui-monospace, monospace; background: #f3f5f8; border-radius: 4px }
code { padding: .1rem .3rem } pre { padding: .6rem; overflow: auto; max-height: 28rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top;
        padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #eef1f5 }
@media (prefers-color-scheme: dark) { body { background: #11161d; color: #dce3ec }
  code, pre { background: #1c2430 } details, h2, td, th { border-color: #2d3846 } summary b { color: #6cb6f0 } }
"""


def write_docs(document: Json) -> str:
    """The page for an OpenAPI document."""
    groups: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append(_write_operation(method, path, operation))
    body = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(items)}'
        for tag, items in groups.items()
    )
    contents = " · ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    info = document["info"]
    schemas = "".join(
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"{_write_json(schema)}</details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        f"<p>{_write_text(info['description'])}</p>"
        f'<p>{contents} · <a href="#Shapes">Shapes</a> · <a href="/openapi.json">openapi.json</a></p>'
        f'{body}<h2 id="Shapes">Shapes</h2>{schemas}</body></html>'
    )


def _write_operation(method: str, path: str, operation: Json) -> str:
    parts = [
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code>",
        f" {_write_text(operation['summary'])}</summary>",
        f"<p>{_write_text(operation['description'])}</p>",
    ]
    if "x-required-scope" in operation:
        parts.append(f"<p>Scope: <code>{escape(operation['x-required-scope'])}</code></p>")
    if operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(item['name'])}</code></td><td>{item['in']}</td>"
            f"<td>{_write_text(item['description'])}</td></tr>"
            for item in operation["parameters"]
        )
        parts.append(f"<table>{rows}</table>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body, <code>{escape(kind)}</code></p>{_write_content(content)}")
    rows = "".join(
        f"<tr><td><code>{status}</code></td><td>{_write_text(told['description'])}"
        f"{_write_reply(told) if status < '300' else ''}</td></tr>"
        for status, told in operation["responses"].items()
    )
    parts.append(f"<p>Replies</p><table>{rows}</table></details>")
    return "".join(parts)


def _write_reply(told: Json) -> str:
    return "".join(
        f" <code>{escape(kind)}</code> {_write_content(content)}"
        for kind, content in told.get("content", {}).items()
    )


def _write_content(content: Json) -> str:
    """A link to the shape, and an example of it."""
    example: object = content.get("example")
    shown = f"<pre>{escape(example)}</pre>" if isinstance(example, str) else _write_json(example)
    return _write_schema(content["schema"]) + ("" if example is None else shown)


def _write_schema(schema: Json) -> str:
    reference: str | None = schema.get("$ref")
    if reference is None:
        return _write_json(schema) if schema else ""
    name = escape(reference.rpartition("/")[2])
    return f'<a href="#schema-{name}">{name}</a>'


def _write_json(value: object) -> str:
    return f"<pre>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</pre>"


def _write_text(text: str) -> str:
    """Escaped text; what stands in backticks is set as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(pieces))
