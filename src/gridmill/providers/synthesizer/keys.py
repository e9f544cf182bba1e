"""Columns in which no value comes twice: which they are, and how their values go on."""

import re
import string
from collections import Counter
from collections.abc import Sequence

from gridmill.kit.canonical import DataType
from gridmill.kit.values import check_bounds, fits
from gridmill.providers.synthesizer.fresh import (
    ChoiceSpace,
    Space,
    StepSpace,
    Stream,
    TemplateSpace,
)
from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.scales import (
    NumberScale,
    Scale,
    find_scale,
    find_step,
    limit_steps,
)
from gridmill.providers.synthesizer.tokens import describe, sign, split

_MIN_INFERRED = 3
_MIN_UNNAMED = 10
_FILLED = 0.9
_DENSE = 4
"""A counter has at least one in so many of the numbers between its first and its last."""

_NAMED_KEY = re.compile(
    r"(?:^|[\W_])(?i:id|no|nr|num|number|key|code|sku|index|zip)$|#$|(?:Id|ID|No|Nr|Key|Code)$"
)
_CODE = re.compile(r"([^0-9]*)([0-9]{1,15})([^0-9]*)")
_MAX_CODE = 64
_ALPHABETS = (
    string.digits,
    string.digits + "abcdef",
    string.digits + "ABCDEF",
    string.ascii_uppercase,
    string.ascii_lowercase,
    string.digits + string.ascii_uppercase,
    string.digits + string.ascii_lowercase,
    string.digits + string.ascii_letters,
)
FIRST_TIMES = {DataType.DATE: ["2024-01-01"], DataType.DATETIME: ["2024-01-01T00:00:00Z"]}
"""Where times begin when nothing is known of them."""

_ROOM = 1_000_000
_PROBES = 20


class Chain:
    """Streams one after another."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams
        self.capacity = sum(stream.capacity for stream in streams)

    def give(self, place: int) -> str:
        """The value at `place`; raises `IndexError` beyond the last."""
        for stream in self._streams:
            if place < stream.capacity:
                return stream.give(place)
            place -= stream.capacity
        raise IndexError(place)


def is_key(shape: ColumnShape, texts: Sequence[str], rows: int) -> bool:
    """Whether no value of the column may come twice: said so, or the filled `texts` look so.

    Distinct amounts and names are no keys; counters, codes of one form, emails and URLs are.
    """
    if shape.unique is not None:
        return shape.unique
    count = len(texts)
    if count < max(_MIN_INFERRED, _FILLED * rows) or len(set(texts)) < count:
        return False
    is_named = is_named_key(shape.name)
    if shape.data_type is DataType.INTEGER:
        return is_named or (count >= _MIN_UNNAMED and _find_counter(shape, texts) is not None)
    if shape.data_type is DataType.TEXT:
        is_code = all(any(c.isdigit() for c in text) for text in texts) and _is_one_length(texts)
        return _find_counter(shape, texts) is not None or (
            is_code and _template_code(texts) is not None
        )
    return shape.data_type in {DataType.EMAIL, DataType.URL} and count >= _MIN_UNNAMED


def is_named_key(name: str) -> bool:
    """Whether a column is called like an identifier: `id`, `customer_id`, `orderNo`, `sku`."""
    return _NAMED_KEY.search(name) is not None


def make_stream(shape: ColumnShape, texts: Sequence[str], seed: str) -> Chain:
    """How the keys in `texts` go on (or begin, where there are none). Its capacity may be 0."""
    known = list(dict.fromkeys([*texts, *shape.examples]))
    if shape.data_type is DataType.BOOLEAN or (shape.data_type is DataType.ENUM and shape.options):
        values = shape.options or ("true", "false")
        return Chain([Stream(ChoiceSpace(values), texts, seed)])
    counter = _find_counter(shape, known)
    if counter is not None:
        streams = [Stream(space, texts, None) for space in counter]
        if _fits_all(shape, streams):
            return Chain(streams)
    spaces = _list_amount_spaces(shape, known)
    if spaces is None:
        spaces = _list_text_spaces(shape, known)
    for space in spaces:
        stream = Stream(space, texts, seed)
        if stream.capacity and _fits_all(shape, [stream]):
            return Chain([stream])
    return Chain([])


def _fits_all(shape: ColumnShape, streams: Sequence[Stream]) -> bool:
    """Whether a sample of the streams' values is valid."""
    for stream in streams:
        for probe in range(min(_PROBES, stream.capacity)):
            place = stream.capacity * probe // _PROBES if probe % 2 else probe
            text = stream.give(place)
            try:
                check_bounds(text, shape.rules)
            except ValueError:
                return False
            if not fits(text, shape.data_type):
                return False
    return True


# --- counters -------------------------------------------------------------------------------


def _find_counter(shape: ColumnShape, texts: Sequence[str]) -> list[Space] | None:
    """The numbers after the last of a counter, then those that it left out; `None` if it is none."""
    if not texts:
        return None
    if shape.data_type is DataType.INTEGER:
        scale = find_scale(shape.data_type, texts)
        if not isinstance(scale, NumberScale):
            return None
        numbers, frame = [scale.read(text) for text in texts], ("", 0, "")
        low, high = limit_steps(scale, shape.minimum, shape.maximum)
    elif shape.data_type is DataType.TEXT:
        scale = NumberScale()
        found = [_CODE.fullmatch(text) for text in texts]
        codes = [match for match in found if match is not None]
        if len(codes) < len(texts) or len({(code[1], code[3]) for code in codes}) > 1:
            return None
        width = len(codes[0][2]) if _is_one_length(texts) else 0
        if width == 0 and any(code[2] != str(int(code[2])) for code in codes):
            return None
        numbers, frame = [int(code[2]) for code in codes], (codes[0][1], width, codes[0][3])
        low, high = 0, 10**15 - 1
    else:
        return None
    first, last = min(numbers), max(numbers)
    step = find_step(numbers)
    if (last - first) // step >= _DENSE * len(numbers):
        return None
    after = StepSpace(scale, last + step, step, (high - last) // step, frame)
    between = StepSpace(scale, first, step, (last - first) // step, frame)
    if shape.minimum is None:
        return [after, between]
    start = first - (first - low) // step * step
    return [after, between, StepSpace(scale, start, step, (first - start) // step, frame)]


def _is_one_length(texts: Sequence[str]) -> bool:
    return len({len(text) for text in texts}) == 1


# --- amounts --------------------------------------------------------------------------------


def _list_amount_spaces(shape: ColumnShape, texts: Sequence[str]) -> list[Space] | None:
    """Amounts between the bounds, or about where the known ones lie; `None` for other types."""
    types = {DataType.INTEGER, DataType.NUMBER, DataType.DATE, DataType.DATETIME}
    if shape.data_type not in types:
        return None
    scale = find_scale(shape.data_type, texts or FIRST_TIMES.get(shape.data_type, ["1"]))
    if scale is None:
        return []
    if not texts and shape.data_type is DataType.NUMBER:
        scale = NumberScale(2)
    low, high = _choose_range(shape, scale, texts)
    return [StepSpace(scale, low, 1, high - low + 1)]


def _choose_range(shape: ColumnShape, scale: Scale, texts: Sequence[str]) -> tuple[int, int]:
    low, high = limit_steps(scale, shape.minimum, shape.maximum)
    known = [scale.read(text) for text in texts]
    start = scale.read(FIRST_TIMES.get(shape.data_type, ["1"])[0])
    first, last = min(known, default=start), max(known, default=start)
    span = max(last - first, 10 * len(known), 1)
    if shape.minimum is None:
        low = max(low, first if first <= high else high - _ROOM)
    if shape.maximum is None:
        room = span if known else 0
        high = min(high, max(last + room, low + _ROOM))
    return low, high


# --- texts ----------------------------------------------------------------------------------


def _list_text_spaces(shape: ColumnShape, texts: Sequence[str]) -> list[Space]:
    """Forms of new texts, the one that looks most like the known ones first."""
    spaces: list[Space | None] = []
    if shape.data_type is DataType.PHONE:
        spaces.append(_template_phone(texts))
    elif texts:
        if _is_one_length(texts):
            spaces.append(_template_code(texts))
        spaces.append(_template_tokens(shape, texts))
    spaces.append(_number_texts(shape, texts))
    return [space for space in spaces if space is not None]


def _template_code(texts: Sequence[str]) -> Space | None:
    """Codes of one length: in each place the one sign that all have, or any of its alphabet."""
    if len(texts[0]) > _MAX_CODE or any(c.isspace() for c in texts[0]):
        return None
    slots: list[str] = []
    for signs in zip(*texts, strict=True):
        seen = set(signs)
        alphabet = next((letters for letters in _ALPHABETS if seen <= set(letters)), None)
        if len(seen) == 1 and len(texts) > 1:
            slots.append(signs[0])
        elif alphabet is None:
            return None
        else:
            # A place that few of its alphabet's signs ever took is part of the form.
            slots.append("".join(sorted(seen)) if len(seen) * 4 < len(texts) else alphabet)
    space = TemplateSpace(slots)
    return space if space.size >= 10 * len(texts) else None


def _template_tokens(shape: ColumnShape, texts: Sequence[str]) -> Space | None:
    """Texts of the most frequent form: its words and numbers in other combinations."""
    tokens = [split(text, shape.data_type) for text in texts]
    forms = Counter(map(sign, tokens))
    form = max(forms, key=lambda item: (forms[item], item))
    pools = list(zip(*(parts for parts in tokens if sign(parts) == form), strict=True))
    slots: list[Sequence[str]] = []
    for kind, pool in zip(form, pools, strict=True):
        width = len(pool[0])
        if kind == "9" and _is_one_length(pool) and width <= 12 and len(pool) > 1:
            slots += [string.digits] * width
        else:
            slots.append(sorted(set(pool)))
    space = TemplateSpace(slots)
    return space if space.size >= 10 * len(texts) else None


def _template_phone(texts: Sequence[str]) -> Space | None:
    """Phone numbers with the known beginnings and other last digits."""
    if not texts:
        return TemplateSpace([["+1 202 555 0"], "1", string.digits, string.digits])
    heads: list[str] = []
    for text in texts:
        digits = [place for place, sign_ in enumerate(text) if sign_.isdigit()]
        heads.append(text[: digits[len(digits) // 2]])
    tail = max(4, min(len(text) - len(head) for text, head in zip(texts, heads, strict=True)))
    return TemplateSpace([sorted(set(heads)), *[string.digits] * tail])


def _number_texts(shape: ColumnShape, texts: Sequence[str]) -> Space | None:
    """The known words with a number behind them; with nothing known the column's name."""
    digits = [string.digits] * 6
    if shape.data_type is DataType.EMAIL:
        words = {split(text, shape.data_type)[0] for text in texts}
        heads = sorted(word for word in words if describe(word) == "a") or ["user"]
        domains = sorted({text[text.rindex("@") :] for text in texts}) or ["@example.com"]
        return TemplateSpace([heads, *digits, domains])
    if shape.data_type is DataType.URL:
        hosts = sorted({split(text, shape.data_type)[0] for text in texts})
        return TemplateSpace([hosts or ["https://example.com"], ["/"], *digits])
    if shape.data_type not in {DataType.TEXT, DataType.ENUM}:
        return None
    heads = sorted({text.rstrip(string.digits + " ") for text in texts}) if texts else []
    return TemplateSpace(
        [[head for head in heads if head] or [shape.name or "value"], [" "], *digits]
    )
