"""A fresh lab for the tests in this folder, gone when they end, however they end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from lab import boot, console, image, labs, machine, owner, playbook, sweep
from lab.labs import Lab
from lab.shell import LabError

running: list[Lab] = []


def pytest_configure() -> None:
    # SIGINT too: what a script starts in the background is told to ignore it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)


def interrupted(_number: int, _frame: FrameType | None) -> None:
    """Like Ctrl-C, on which pytest runs the teardown of its fixtures."""
    raise KeyboardInterrupt


@contextmanager
def booted(name: str, debian: str, machines: tuple[str, ...]) -> Iterator[Lab]:
    with console.step("Leftovers of interrupted runs", "leftovers"):
        sweep.leftovers()
    stamp = owner.stamp()
    mine = Lab(f"{name}-{stamp}", "test", stamp, machines)
    try:
        boot.boot(mine, debian)
        running.append(mine)
        yield mine
    finally:
        running.clear()
        sweep.remove_lab(mine)
        image.forget()


@pytest.fixture(scope="session")
def debian() -> str:
    return os.environ.get("DEBIAN", "12")


@pytest.fixture(scope="session")
def lab(debian: str) -> Iterator[Lab]:
    with booted("test", debian, labs.SINGLE) as mine:
        yield mine


@pytest.fixture(scope="module")
def cluster(debian: str) -> Iterator[Lab]:
    """Seven of its own for each file."""
    with booted("cluster", debian, labs.CLUSTER) as mine:
        yield mine


@pytest.fixture(scope="session")
def first_run(lab: Lab) -> playbook.Progress:
    with console.step("Deploying with ansible-playbook site.yml", "site.yml"):
        return boot.deploy(lab)


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """No dots between the lab's own lines."""
    shown = report.when == "call" and report.passed and config.option.capture == "no"
    return ("passed", "", "PASSED") if shown else None


def pytest_exception_interact(report: pytest.TestReport) -> None:
    """Add what the machine has to say, before it is gone."""
    for mine in running:
        for host in mine.machines:
            try:
                report.sections.append((f"Journal of {host}", machine.journal(mine, host)))
            except LabError as error:
                report.sections.append((f"Journal of {host}", str(error)))
