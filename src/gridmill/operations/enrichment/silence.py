"""Answers that say nothing: the words with which a small model fills a place that has no value.

A model that is asked for a sender where there is none says "Nobody" as surely as a name, and the
word may well stand in the row. Words that are also common values of a table ("NA" for a country,
"0", "no") are not among these.
"""

_MARKS = " \t\n.,:;!?\"'`()[]{}<>-–—_/*…"
_LETTERS = str.maketrans({"_": " ", "-": " ", "’": "'"})

_LISTED = (
    # English
    "nobody|no one|noone|none|nothing|null|nil|nan|n/a|n.a|unknown|undefined|unspecified|unclear|"
    "not available|not applicable|not specified|not stated|not given|not mentioned|not provided|"
    "not found|not known|not sure|no answer|no value|no data|no information|no name|"
    # German
    "niemand|nichts|keine|keiner|keines|keine angabe|k. a|k.a|unbekannt|nicht angegeben|"
    "nicht bekannt|nicht genannt|nicht verfügbar|nicht vorhanden|ohne angabe|"
    # French
    "aucun|aucune|rien|inconnu|inconnue|non précisé|non précisée|non spécifié|non spécifiée|"
    "non indiqué|non renseigné|non disponible|"
    # Spanish, Portuguese, Italian
    "nadie|ninguno|ninguna|desconocido|desconocida|no especificado|no disponible|no indicado|"
    "ninguém|nenhum|nenhuma|desconhecido|desconhecida|não especificado|não informado|"
    "não disponível|nessuno|nessuna|sconosciuto|sconosciuta|non specificato|non disponibile|"
    # Dutch, Swedish, Danish, Norwegian, Finnish, Polish
    "geen|onbekend|niet opgegeven|niet vermeld|niet beschikbaar|ingen|okänd|okänt|ej angivet|"
    "ukendt|ukjent|ikke oplyst|ikke angivet|ikke oppgitt|ei kukaan|tuntematon|ei tiedossa|"
    "ei ilmoitettu|nikt|brak|brak danych|nieznany|nieznana|nie podano"
)
_WORDS = frozenset(_LISTED.split("|"))


def says_nothing(answer: str) -> bool:
    """Whether a text tells that there is no value, in one of a dozen languages; case aside."""
    plain = " ".join(answer.casefold().translate(_LETTERS).strip(_MARKS).split())
    return not plain or plain in _WORDS
