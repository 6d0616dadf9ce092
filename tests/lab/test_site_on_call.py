"""Every command of docs/on-call.md finds its fault where it is, and does not where it is not."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lab.labs import Lab
from tests.lab import faults, page
from tests.lab.faults import Fault
from tests.lab.hosts import SECONDS, do, shell
from tests.lab.page import Section, Step, Values

NOBODY = {"id": "00000000-0000-0000-0000-000000000000"}


@dataclass(frozen=True)
class Case:
    fault: Fault
    # What the page's remedy cannot take away has gone before it is tried.
    remedied: bool = True
    # What placeholders stand for while there is no fault to learn it from.
    before: Values = field(default_factory=dict)


CASES = {
    "The site is down or slow": Case(faults.site_hangs),
    "Tasks are not running": Case(faults.worker_stopped),
    "A queue is stuck": Case(faults.worker_hangs),
    "Tasks are repeated": Case(faults.task_kills, before=NOBODY),
    "A worker's memory grows": Case(faults.task_leaks),
    "Tasks time out": Case(faults.task_hangs, before=NOBODY),
    "The broker is unreachable": Case(faults.broker_stopped),
    "The database is unreachable": Case(faults.database_stopped),
    "Nothing is in Flower": Case(faults.flower_stopped),
    "Mails are refused": Case(faults.mail_refused, remedied=False, before=NOBODY),
    "The disk is full": Case(faults.disk_full, remedied=False, before={"place": "/var/lib/redis"}),
    "The firewall is open": Case(faults.firewall_emptied),
    "The certificate is about to end": Case(faults.certificate_ends, remedied=False),
    "Beat is not firing": Case(faults.beat_hangs),
}


def test_every_section_has_a_case() -> None:
    assert [section.title for section in page.sections()] == list(CASES)


@pytest.fixture(scope="module")
def poison(lab: Lab, first_run: object) -> Iterator[None]:
    with faults.poisonous_worker(lab):
        yield


@pytest.mark.parametrize("section", page.sections(), ids=lambda section: section.title)
def test_its_commands_find_the_fault_where_it_is(lab: Lab, poison: None, section: Section) -> None:
    case = CASES[section.title]
    signs = [step for step in section.steps if step.shows]
    remedies = [step for step in section.steps if not step.shows]
    refute(lab, signs, case.before)
    with case.fault(lab):
        values = find(lab, signs)
        if case.remedied:
            heal(lab, signs, remedies, values)
    if not case.remedied:
        heal(lab, signs, remedies, values)


def refute(lab: Lab, signs: list[Step], values: Values) -> None:
    for step in signs:
        ended = shell(lab, step.filled(values))
        assert step.found(ended.text, {}) is None, f"without the fault {step.commands} shows it:\n{ended.text}"


def find(lab: Lab, signs: list[Step]) -> Values:
    values: Values = {}
    for step in signs:
        values |= wait_for(lab, step, values)
    return values


def wait_for(lab: Lab, step: Step, values: Values) -> Values:
    end = time.monotonic() + SECONDS
    while True:
        ended = shell(lab, step.filled(values))
        found = step.found(ended.text, values)
        if found is not None:
            return found
        assert time.monotonic() < end, f"{step.commands} does not show {step.shows}:\n{ended.text}"


def heal(lab: Lab, signs: list[Step], remedies: list[Step], values: Values) -> None:
    for step in remedies:
        do(lab, step.filled(values))
    for step in signs:
        wait_for_end(lab, step, values)


def wait_for_end(lab: Lab, step: Step, values: Values) -> None:
    """What has happened stays in the journal."""
    if step.commands[0].startswith("saas logs"):
        return
    end = time.monotonic() + SECONDS
    while step.found(ended := said(lab, step, values), values) is not None:
        assert time.monotonic() < end, f"{step.commands} shows {step.shows} still:\n{ended}"


def said(lab: Lab, step: Step, values: Values) -> str:
    return shell(lab, step.filled(values)).text
