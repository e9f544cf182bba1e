"""How often a finding like this one was right: the measured table behind a cell's confidence.

`COUNTS` were taken by `benchmarks.extraction --fit` on every second document of the sets that
`docs/extraction.md` names, each asked for its own columns and for some that it does not hold (3.9
for every column with a truth), whose answers count as wrong; the other half judged them. A way of finding with few answers leans on
its method's share, that on the share of all (`_WEIGHT` answers' worth each).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gridmill.operations.extraction.model import Found, Method
from gridmill.providers.llm.model import LOCAL

CONTESTED_MARGIN = 0.08
"""Under so much difference of strength two values are equally likely to be meant."""

UNGROUNDED = 0.4
"""The most that a value may have which stands nowhere in the document: people have to look."""

CEILING = 0.97
_WEIGHT = 3.0
_LEVELS = ((0.3, "faint"), (0.45, "weak"), (0.7, "fair"))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a finding: how it was found, how well it fits, whether another contends.

    `agreement` is of the model and the heuristics: `agrees`, `differs` or `alone`. `local` says
    that the model is a small one, `measured` that it is the one behind the table.
    """

    method: Method
    level: str
    contested: bool
    agreement: str = "alone"
    grounded: bool = True
    local: bool = True
    measured: bool = True

    @property
    def keys(self) -> tuple[str, str]:
        """The names of its row in the table: the coarse one and the fine one."""
        if self.method is Method.MODEL:
            if not self.grounded:
                return "model ungrounded", f"model ungrounded {self.agreement}"
            coarse = "model" if self.agreement == "agrees" else "model unconfirmed"
            return coarse, f"model {self.agreement}"
        contest = "contested" if self.contested else "clear"
        return self.method.value, f"{self.method.value} {self.level} {contest}"


def weigh(found: Found) -> Evidence:
    """The evidence of what the heuristics found."""
    strength = found.best.strength
    level = next((name for limit, name in _LEVELS if strength < limit), "strong")
    return Evidence(found.best.method, level, found.margin < CONTESTED_MARGIN)


def judge(evidence: Evidence, counts: "Mapping[str, tuple[int, int]] | None" = None) -> float:
    """The confidence (0-1), to three decimals; `counts` are answers and right ones by key.

    Other models than the one behind the table were not measured: their figures are a prior.
    """
    if evidence.method is Method.MODEL and not evidence.measured:
        share = PRIORS[evidence.agreement]
        if evidence.local and evidence.agreement != "agrees":
            share = SMALL
    else:
        share = _estimate(evidence, COUNTS if counts is None else counts)
    most = CEILING if evidence.grounded else UNGROUNDED
    return round(min(share, most), 3)


def _estimate(evidence: Evidence, counts: Mapping[str, tuple[int, int]]) -> float:
    share = 0.5
    for key in ("all", *evidence.keys):
        answers, right = counts.get(key, (0, 0))
        share = (right + _WEIGHT * share) / (answers + _WEIGHT)
    return share


def weigh_model(provider: str, model: str, agreement: str, *, grounded: bool) -> Evidence:
    """The evidence of what a model said."""
    local = provider == LOCAL
    measured = local and model.startswith(MEASURED_MODEL)
    return Evidence(
        Method.MODEL, "", False, agreement, grounded=grounded, local=local, measured=measured
    )


def is_calibrated(evidence: Evidence) -> bool:
    """Whether the figure was measured on enough answers to be taken as it is."""
    if evidence.method is Method.MODEL and not evidence.measured:
        return False
    return COUNTS.get(evidence.keys[1], (0, 0))[0] >= 10


MEASURED_MODEL = "qwen2.5-coder-0.5b"
"""The local model that the table's rows of models are of, by the beginning of its name."""

SMALL = 0.45
"""Of another small model's answer that the heuristics do not confirm: for people to look at."""

PRIORS: Mapping[str, float] = {"agrees": 0.95, "alone": 0.8, "differs": 0.6}
"""Of a grounded answer of a model that nobody measured, by its agreement with the heuristics."""

COUNTS: Mapping[str, tuple[int, int]] = {
    "all": (179, 135),
    "duration": (25, 4),
    "duration fair clear": (7, 1),
    "duration fair contested": (9, 2),
    "duration strong clear": (1, 1),
    "duration weak clear": (6, 0),
    "duration weak contested": (2, 0),
    "label": (42, 37),
    "label fair clear": (8, 7),
    "label fair contested": (1, 1),
    "label strong clear": (30, 26),
    "label strong contested": (3, 3),
    "layout": (38, 34),
    "layout faint clear": (1, 1),
    "layout faint contested": (1, 1),
    "layout fair clear": (12, 12),
    "layout fair contested": (2, 1),
    "layout weak clear": (19, 16),
    "layout weak contested": (3, 3),
    "nearby": (31, 23),
    "nearby faint clear": (9, 9),
    "nearby faint contested": (1, 1),
    "nearby fair clear": (6, 6),
    "nearby fair contested": (1, 0),
    "nearby weak clear": (10, 6),
    "nearby weak contested": (4, 1),
    "phrase": (41, 36),
    "phrase fair clear": (11, 9),
    "phrase fair contested": (4, 3),
    "phrase strong clear": (17, 15),
    "phrase strong contested": (9, 9),
    "section": (2, 1),
    "section strong clear": (1, 1),
    "section strong contested": (1, 0),
    "model": (27, 24),
    "model agrees": (27, 24),
    "model unconfirmed": (34, 7),
    "model alone": (3, 0),
    "model differs": (31, 7),
    "model ungrounded": (3, 0),
    "model ungrounded alone": (3, 0),
}
"""Answers and right ones on the fitting half, by the keys of `Evidence`."""
