"""Whether a name in a document (a label, a table's heading) is the name of a column."""

import re
import unicodedata
from functools import lru_cache

MATCH = 0.5
"""From here on two names are taken for the same thing: half of their words at least."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[0-9]+|#|№")
_FILLERS = frozenset(
    ["the", "a", "an", "of", "for", "in", "on", "to", "by", "and", "or", "is", "s"]
)
_SYNONYMS = {
    word: group[0]
    for group in (
        ("number", "no", "nr", "num", "nbr", "#", "№", "numero", "nummer"),
        ("quantity", "qty", "pcs", "count", "units", "menge"),
        ("amount", "amt", "sum", "betrag", "montant", "importe"),
        ("description", "desc", "descr", "details", "particulars", "beschreibung"),
        ("phone", "tel", "telephone", "telefon", "mobile", "cell"),
        ("email", "mail"),
        ("address", "addr", "adresse"),
        ("website", "web", "url", "homepage", "site"),
        ("company", "vendor", "supplier", "seller", "merchant", "store", "firm"),
        ("customer", "client", "buyer", "purchaser"),
        ("party", "parties"),
        ("date", "dated", "datum", "fecha"),
        ("item", "product", "article", "artikel"),
        ("identifier", "id", "ids"),
        ("reference", "ref"),
        ("author", "writer"),
        ("percent", "pct", "percentage", "%"),
        ("maximum", "max"),
        ("minimum", "min"),
        ("jurisdiction", "governing"),
        ("city", "town"),
        ("country", "nation"),
        ("zip", "postcode", "postal"),
        ("born", "birth", "dob"),
        ("tax", "vat", "gst"),
        ("term", "duration", "period"),
    )
    for word in group
}


@lru_cache(maxsize=8_192)
def list_words(name: str) -> tuple[str, ...]:
    """The words that carry a name's meaning, each once: folded, singular, synonyms made one.

    `dueDate`, `due_date` and `Due dates:` are all `("due", "date")`.
    """
    plain = unicodedata.normalize("NFKD", name[:400])
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    words: dict[str, None] = {}
    for found in _WORD.findall(plain.replace("e-mail", "email").replace("E-mail", "email")):
        word = found.casefold()
        word = _SYNONYMS.get(word) or _SYNONYMS.get(_make_singular(word)) or _make_singular(word)
        if word not in _FILLERS:
            words.setdefault(word)
    return tuple(words)


def _make_singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "sui" else word


def compare(first: str, second: str) -> float:
    """How much two names have in common, 0-1: their common words by all their words (Jaccard)."""
    one, other = set(list_words(first)), set(list_words(second))
    return len(one & other) / len(one | other) if one and other else 0.0
