import pytest

from tests.lab import page
from tests.lab.page import Step

OUTPUT = """\
ok       nginx                    active for 2 d
CRITICAL celery-worker@email      inactive (dead) for 5 min
WARNING  queue email              3 waiting
"""


@pytest.mark.parametrize(
    ("shows", "found"),
    [
        ("CRITICAL celery-worker@<name> inactive (dead) for …", {"name": "email"}),
        ("… <count> waiting", {"count": "3"}),
        ("CRITICAL nginx …", None),
        ("nginx … waiting", None),
        ("queue celery <count> waiting", None),
    ],
)
def test_a_line_is_looked_for_in_the_output(shows: str, found: dict[str, str] | None) -> None:
    assert Step(("saas status",), (shows,)).found(OUTPUT, {}) == found


def test_what_is_known_must_be_the_same_again() -> None:
    step = Step(("saas status",), ("queue <name> <count> waiting",))

    assert step.found(OUTPUT, {"name": "email"}) == {"name": "email", "count": "3"}
    assert step.found(OUTPUT, {"name": "celery"}) is None


def test_every_block_of_the_page_is_read() -> None:
    text = page.PAGE.read_text()
    steps = [step for section in page.sections() for step in section.steps]

    assert len(steps) == text.count("```sh\n") > 0
    assert len([step for step in steps if step.shows]) == text.count("```text\n")


@pytest.mark.parametrize("section", page.sections(), ids=lambda section: section.title)
def test_every_section_begins_with_what_the_fault_looks_like(section: page.Section) -> None:
    assert section.steps[0].shows
