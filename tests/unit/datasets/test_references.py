from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.datasets.references import (
    find_cycle,
    find_references,
    find_unknown,
    rename_reference,
)

NAMES = st.sampled_from("abcdef")


def test_references_are_names_in_double_braces_each_once() -> None:
    assert find_references("{{a}} and {{ b c }}, {{a}} {x} {{}} {{ }}") == ("a", "b c")
    assert find_references(None) == find_references("") == ()


def test_a_rename_touches_whole_names_only() -> None:
    assert rename_reference("{{a}} {{ a }} {{ab}} a", "a", r"x\1") == r"{{x\1}} {{x\1}} {{ab}} a"


def test_unknown_references_are_told_by_column() -> None:
    assert find_unknown({"a": "{{b}} {{z}}", "b": None}, ["a", "b"]) == {"a": ["z"]}


@pytest.mark.parametrize(
    ("prompts", "cycle"),
    [
        ({"a": "{{a}}"}, ["a", "a"]),
        ({"a": "{{b}}", "b": "{{a}}"}, ["a", "b", "a"]),
        ({"x": "{{a}}", "a": "{{b}}", "b": "{{c}}", "c": "{{a}}"}, ["a", "b", "c", "a"]),
        ({"a": "{{b}} {{c}}", "b": "{{d}}", "c": "{{d}}", "d": "{{gone}}"}, None),
    ],
)
def test_cycles_are_found(prompts: dict[str, str], cycle: list[str] | None) -> None:
    assert find_cycle(prompts) == cycle


def test_long_chains_do_not_exhaust_the_stack() -> None:
    chain = {f"c{i}": f"{{{{c{i + 1}}}}}" for i in range(5_000)}
    assert find_cycle(chain) is None
    assert find_cycle(chain | {"c5000": "{{c0}}"}) is not None


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=6))
def test_a_cycle_is_found_exactly_when_there_is_no_order(edges: dict[str, list[str]]) -> None:
    prompts = {
        name: " ".join(f"{{{{{target}}}}}" for target in targets) for name, targets in edges.items()
    }
    order = TopologicalSorter(edges)
    cycle = find_cycle(prompts)
    if cycle is None:
        order.prepare()
        return
    assert cycle[0] == cycle[-1]
    for reader, read in pairwise(cycle):
        assert read in find_references(prompts[reader])
    with pytest.raises(CycleError):
        order.prepare()
