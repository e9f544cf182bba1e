"""A generation report as a page: figures, histograms and correlation maps as SVG, no scripts."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

PAGE_HEADERS: Mapping[str, str] = {
    # Whatever a cell holds, the page loads and runs nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_REAL, _MADE = "#3b6ea5", "#e08a2e"
_WIDTH, _HEIGHT = 340, 110
_CELL = 26
_NAME_CHARACTERS = 60
_LABEL_CHARACTERS = 24
_STYLE = f"""
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
h3 {{ font-size: 1rem; margin: 0; overflow-wrap: anywhere; }}
.figures, .cards {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
.figures div {{ background: #f3f5f7; border-radius: .4rem; padding: .6rem 1rem; }}
.figures b {{ display: block; font-size: 1.3rem; }}
.cards section {{ border: 1px solid #ddd; border-radius: .4rem; padding: .8rem; width: 21.5rem; }}
.note {{ color: #666; font-size: .85rem; margin: 0; }}
.real {{ fill: {_REAL}; }} .made {{ fill: {_MADE}; }}
.key::before {{ content: "■ "; }} .key.real {{ color: {_REAL}; }} .key.made {{ color: {_MADE}; }}
svg text {{ font-size: 10px; fill: #555; }}
"""


def render_page(name: str, report: Mapping[str, Any]) -> str:
    """The page of a report on a task of the dataset called `name`."""
    made_up: Mapping[str, Any] | None = report["generation"]
    counted = ", ".join(f"{count} {status}" for status, count in report["cellsByStatus"].items())
    told = f"Task {report['taskId']}, {report['operation']}, {report['status']}. Cells: {counted}."
    body = [
        f"<h1>What a task made of {escape(name)}</h1>",
        f'<p class="note">{escape(told)}</p>',
    ]
    if made_up is None:
        body.append("<p>It made no rows up, so there is nothing to compare.</p>")
    else:
        body += _write_comparison(made_up)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Report: {escape(name)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>"
    )


def _write_comparison(report: Mapping[str, Any]) -> list[str]:
    rows, compared = report["rows"], report["compared"]
    counted = (
        f"{rows['made']} made-up rows beside {rows['real']} real ones, of which {compared['made']} "
        f"and {compared['real']} were compared."
    )
    return [
        f"<p>{counted}</p>",
        '<p><span class="key real">real</span> <span class="key made">made up</span></p>',
        _write_figures(report),
        "<h2>Columns</h2>",
        f'<div class="cards">{"".join(map(_write_column, report["columns"]))}</div>',
        _write_correlations(report["correlations"]),
        _write_pairs(report["pairs"]),
    ]


def _write_figures(report: Mapping[str, Any]) -> str:
    quality, privacy = report["quality"], report["privacy"]
    real: Mapping[str, float] = privacy["realDistance"] or {}
    made: Mapping[str, float] = privacy["madeDistance"] or {}
    figures: list[tuple[str, float | None, str]] = [
        ("likeness overall", quality["overall"], "1 is the same"),
        ("of columns", quality["columns"], "mean similarity"),
        ("of pairs", quality["pairs"], "mean similarity"),
        ("detection", report["detection"]["rocAuc"], "0.5: not told apart, 1: always"),
        ("copies", privacy["copies"], "made rows that are real ones"),
        ("nearest real row", made.get("median"), f"median; real rows {_show(real.get('median'))}"),
        ("closest twentieth", made.get("percentile5"), f"real {_show(real.get('percentile5'))}"),
        ("too close", privacy["shareCloser"], "0.05 is as close as real rows"),
    ]
    parts = [
        f'<div>{name}<b>{_show(value)}</b><span class="note">{escape(note)}</span></div>'
        for name, value, note in figures
    ]
    return f'<h2>In short</h2><div class="figures">{"".join(parts)}</div>'


def _write_column(column: Mapping[str, Any]) -> str:
    missing: Mapping[str, float] = column["missing"] or {}
    facts = f"{column['dataType']}, {column['kind']}. Similarity {_show(column['similarity'])}."
    if missing:
        facts += f" Empty: {missing['real']:.0%} real, {missing['made']:.0%} made."
    histogram = column["histogram"]
    picture = "" if histogram is None else _draw_histogram(histogram)
    return (
        f"<section><h3>{escape(_cut(column['name'], _NAME_CHARACTERS))}</h3>"
        f'<p class="note">{escape(facts)}</p>{picture}</section>'
    )


def _draw_histogram(histogram: Mapping[str, Any]) -> str:
    """Shares of real and made values side by side, a pair of bars for each category or bin."""
    real, made = histogram["real"], histogram["made"]
    if not real:
        return ""
    highest = max(*real, *made, 1e-9)
    room = _WIDTH / len(real)
    labels = _label_bars(histogram)
    bars: list[str] = []
    for number, (left, right) in enumerate(zip(real, made, strict=True)):
        title = f"{labels[number]}: {left:.1%} real, {right:.1%} made"
        start = number * room
        bars.append(
            f"<g><title>{escape(title)}</title>"
            f"{_draw_bar(start + room * 0.1, room * 0.4, left / highest, 'real')}"
            f"{_draw_bar(start + room * 0.5, room * 0.4, right / highest, 'made')}</g>"
        )
    first, last = escape(labels[0]), escape(labels[-1])
    return (
        f'<svg role="img" width="{_WIDTH}" height="{_HEIGHT + 16}">{"".join(bars)}'
        f'<text x="0" y="{_HEIGHT + 12}">{first}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 12}" text-anchor="end">{last}</text></svg>'
    )


def _draw_bar(start: float, width: float, share: float, side: str) -> str:
    height = share * _HEIGHT
    return (
        f'<rect class="{side}" x="{start:.1f}" y="{_HEIGHT - height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}"/>'
    )


def _label_bars(histogram: Mapping[str, Any]) -> list[str]:
    if "labels" in histogram:
        said = ["others" if label is None else str(label) for label in histogram["labels"]]
        return [_cut(label, _LABEL_CHARACTERS) for label in said]
    edges: Sequence[float] = histogram["edges"]
    return [f"{low:.4g}–{high:.4g}" for low, high in pairwise(edges)]


def _write_correlations(correlations: Mapping[str, Any]) -> str:
    names: Sequence[str] = correlations["columns"]
    if len(names) < 2:
        return ""
    maps = [
        f"<section style='width:auto'><h3>{title}</h3>{_draw_map(names, correlations[side])}</section>"
        for side, title in (("real", "Real"), ("made", "Made up"))
    ]
    return f'<h2>Correlations of amounts</h2><div class="cards">{"".join(maps)}</div>'


def _draw_map(names: Sequence[str], matrix: Sequence[Sequence[float | None]]) -> str:
    """Blue where two columns rise together, orange where one falls as the other rises."""
    size, margin = _CELL * len(names), 120
    cells: list[str] = []
    for row, values in enumerate(matrix):
        label = escape(_cut(names[row], 18))
        y = row * _CELL
        cells.append(
            f'<text x="{margin - 6}" y="{y + _CELL * 0.65:.0f}" text-anchor="end">{label}</text>'
        )
        for place, value in enumerate(values):
            colour = "#bbb" if value is None else _REAL if value > 0 else _MADE
            strength = 1.0 if value is None else abs(value)
            title = escape(f"{names[row]}, {names[place]}: {_show(value)}")
            cells.append(
                f'<rect x="{margin + place * _CELL}" y="{y}" width="{_CELL - 1}" '
                f'height="{_CELL - 1}" fill="{colour}" fill-opacity="{max(strength, 0.03):.2f}">'
                f"<title>{title}</title></rect>"
            )
    return f'<svg role="img" width="{margin + size}" height="{size}">{"".join(cells)}</svg>'


def _write_pairs(pairs: Sequence[Mapping[str, Any]]) -> str:
    known = [pair for pair in pairs if pair["similarity"] is not None]
    if not known:
        return ""
    weakest = sorted(known, key=lambda pair: pair["similarity"])[:10]
    lines = [
        f"<li>{escape(' and '.join(_cut(n, _NAME_CHARACTERS) for n in pair['columns']))}: "
        f"{_show(pair['similarity'])}</li>"
        for pair in weakest
    ]
    return f"<h2>Pairs that are least alike</h2><ol>{''.join(lines)}</ol>"


def _show(value: float | None) -> str:
    if value is None:
        return "not known"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
