"""How sure a model's answer is, from what it says and from what can be checked.

**A prior, not a measurement**: the figures below order answers sensibly, but nothing has
calibrated them against known truth. `confidenceFactors.calibrated` says so.

    confidence = clamp(spread + quoted + evidence + format, 0, 0.97) × repair

    spread    0.47 + 0.8 × (stated - 0.5): models state too much; unstated counts as 0.6
    quoted    +0.08 when the value stands in the row's own data
    evidence  0 when it names columns or passages that were sent, -0.05 for world knowledge or nothing,
              -0.09 when it only names columns that were not sent (made up)
    format    +0.02 when the column's options or pattern admitted the value
    repair    0.8 when a turn of repair was needed, else 1

`stated` comes from one of three words. With every one of them, and with none, a value that fits
its column is at or above `FLOOR`; "unsure" is under `DEFAULT_THRESHOLD` unless the row holds it.
"""

from dataclasses import dataclass

WORDS = {"certain": 0.95, "likely": 0.8, "unsure": 0.5}
"""What a model may say of an answer, and the share of such answers that it is told to be right."""

UNSTATED = 0.6
_CEILING = 0.97


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one answer.

    `stated` is the share of its word, or the number given in place of one; `evidence` is
    "passages", "columns", "world", "none" or "invented".
    """

    stated: float | None
    quoted: bool
    evidence: str
    checked: bool
    repaired: bool


_EVIDENCE = {"passages": 0.0, "columns": 0.0, "world": -0.05, "none": -0.05, "invented": -0.09}


def judge(facts: Facts) -> float:
    """The confidence (0-1) of an answer with these facts, to three decimals."""
    stated = UNSTATED if facts.stated is None else min(max(facts.stated, 0.0), 1.0)
    total = 0.47 + 0.8 * (stated - 0.5) + _EVIDENCE[facts.evidence]
    total += 0.08 if facts.quoted else 0.0
    total += 0.02 if facts.checked else 0.0
    confidence = min(max(total, 0.0), _CEILING) * (0.8 if facts.repaired else 1.0)
    return round(confidence, 3)


def list_factors(facts: Facts) -> dict[str, object]:
    """The `confidenceFactors` of the cell's metadata."""
    return {
        "method": "model",
        "stated": facts.stated,
        "quotedInRow": facts.quoted,
        "evidence": facts.evidence,
        "fitsOptionsOrPattern": facts.checked,
        "repaired": facts.repaired,
        "calibrated": False,
    }
