import pytest

from tests.bench.report import Requirement, Section, best, compared, figure, percentile, ratios, requirements, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0347, "0.0347"), (3.456, "3.46"), (12.0, "12"), (99.96, "100"), (403.6, "404"), (12345.6, "12,346"), (0, "0")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_spread_is_the_median_between_the_least_and_the_most() -> None:
    assert spread([5, 1, 2]) == "2 (1 to 5)"
    assert spread([5]) == "5"


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([2, 6], [1, 2]) == [2, 3]


def test_percentiles() -> None:
    assert percentile([float(i) for i in range(101)], 99) == 99
    assert percentile([7.0], 99) == 7


def test_the_best_has_the_highest_median() -> None:
    assert best({"a": [1, 9, 1], "b": [2, 2, 2]}, ["a", "b", "absent"]) == "b"


def test_compared_with_a_base() -> None:
    rows = compared({"raw": [2.0, 4.0], "ours": [6.0, 16.0]}, "raw", " µs")

    assert rows == [["raw", "3 (2 to 4) µs", "1"], ["ours", "11 (6 to 16) µs", "3.5 (3 to 4)"]]


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (Requirement("this", "that", [0.9, 1.0, 1.1], at_least=1.0), "reached, at the edge"),
        (Requirement("this", "that", [0.9, 0.99, 1.1], at_least=1.0), "**not reached**, at the edge"),
        (Requirement("this", "that", [1.4, 1.5], at_most=1.5), "reached"),
        (Requirement("this", "that", [1.51, 1.6], at_most=1.5), "**not reached**"),
    ],
)
def test_a_requirement_is_about_the_median_and_tells_whether_all_agree(asked: Requirement, verdict: str) -> None:
    assert asked.verdict == verdict


def section(*void: str) -> Section:
    asked = Requirement("this", "that", [2.0], at_most=1.2)
    return Section("Title", "Text.", ["a"], [["b"]], [asked], list(void))


def test_what_is_not_reached_is_said() -> None:
    assert requirements([section()]).splitlines()[-1] == "| this | that | ≤ 1.2 × | 2 × | **not reached** |"


def test_what_is_void_is_neither_reached_nor_not() -> None:
    assert requirements([section("a mail came twice")]).splitlines()[-1] == "| this | that | ≤ 1.2 × | 2 × | **void** |"
    assert "**Void:** a mail came twice." in section("a mail came twice").markdown()
