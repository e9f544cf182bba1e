"""The calibration figures that the documentation quotes, by examples computed by hand."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.reliability import BINS, Point, draw_reliability, fill_bins, measure_error

POINTS = st.lists(st.tuples(st.floats(0, 1), st.booleans()))
SVG = "{http://www.w3.org/2000/svg}"


def test_the_error_of_no_answers_is_unknown_and_not_zero() -> None:
    assert measure_error([]) is None


def test_cells_right_as_often_as_stated_have_no_error() -> None:
    assert measure_error([(0.75, True), (0.75, True), (0.75, True), (0.75, False)]) == 0.0


def test_each_bin_counts_by_its_share_of_the_cells() -> None:
    # 0.95 said three times, right twice: off by 0.2833 for 3/4; 0.25 said once, wrong: 0.25 for 1/4.
    points = [(0.95, True), (0.95, True), (0.95, False), (0.25, False)]
    assert measure_error(points) == pytest.approx(0.75 * (0.95 - 2 / 3) + 0.25 * 0.25)


def test_too_much_and_too_little_in_different_bins_do_not_cancel() -> None:
    assert measure_error([(0.9, False), (0.1, True)]) == pytest.approx(0.9)


def test_within_a_bin_the_mean_is_compared() -> None:
    assert measure_error([(0.62, True), (0.68, False)]) == pytest.approx(0.65 - 0.5)


def test_a_bin_holds_its_lower_edge_and_the_last_one_also_1() -> None:
    counts = [
        found.count for found in fill_bins([(0.0, False), (0.5, True), (0.9, True), (1.0, True)])
    ]
    assert counts == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]


@given(POINTS)
def test_every_cell_is_in_one_bin_and_the_error_is_a_share(points: list[Point]) -> None:
    bins = fill_bins(points)
    assert len(bins) == BINS
    assert sum(found.count for found in bins) == len(points)
    assert sum(found.count * found.right for found in bins) == pytest.approx(
        sum(right for _, right in points)
    )
    error = measure_error(points)
    assert error is None if not points else error is not None and 0 <= error <= 1


def test_a_bar_is_as_high_as_the_share_right_and_says_how_many_cells() -> None:
    root = ET.fromstring(draw_reliability([(0.35, True), (0.35, False)], "Plot"))
    frame = next(box for box in root.iter(f"{SVG}rect") if box.get("fill") == "none")
    bars = [box for box in root.iter(f"{SVG}rect") if box.get("fill") == "#7aa6d8"]
    assert len(bars) == 1
    side, floor = (
        float(frame.attrib["height"]),
        float(frame.attrib["y"]) + float(frame.attrib["height"]),
    )
    assert float(bars[0].attrib["height"]) == pytest.approx(side / 2, abs=0.1)
    assert float(bars[0].attrib["y"]) + float(bars[0].attrib["height"]) == pytest.approx(
        floor, abs=0.1
    )
    middle = float(bars[0].attrib["x"]) + float(bars[0].attrib["width"]) / 2
    assert middle == pytest.approx(float(frame.attrib["x"]) + 0.35 * side, abs=0.1)
    assert "2" in [text.text for text in root.iter(f"{SVG}text")]


@given(POINTS, st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_the_plot_is_well_formed_for_any_cells_and_title(points: list[Point], title: str) -> None:
    root = ET.fromstring(draw_reliability(points, title))
    assert root.tag == f"{SVG}svg"
    assert root.findall(f"{SVG}text")[0].text == (title or None)
