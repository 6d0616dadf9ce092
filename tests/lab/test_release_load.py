"""Visitors do not notice a deploy and a rollback, and no mail or task is lost to them."""

from collections.abc import Iterator

import pytest

from lab import paths, playbook, snapshot
from lab.labs import Lab
from tests.lab import release_bench, releases
from tests.lab.release_bench import Bench, Result

# Long enough that each switch meets a request that takes 10 s.
PAUSE = 15


def one_of_each(bench: Bench) -> None:
    before = bench.current
    bench.deploy(releases.release("2"))
    bench.rollback(before)


@pytest.fixture(scope="module")
def result(lab: Lab, first_run: playbook.Progress, debian: str) -> Iterator[Result]:
    log, one = lab.directory / "deploy.log", releases.release("1")
    playbook.run(lab, "deploy.yml", log, release=one)
    found = release_bench.measure(lab, debian, releases.name(one), one_of_each, PAUSE)
    print(f"\n{found}")
    yield found
    # As the tests of the other files expect it.
    playbook.run(lab, "deploy.yml", log, release=snapshot.take(paths.ROOT))


def test_no_request_fails(result: Result) -> None:
    assert [str(answer) for answer in result.summary.failed] == []


def test_each_switch_is_seen(result: Result) -> None:
    assert all(step.switches(result.summary, hosts=1) for step in result.steps)


def test_requests_that_take_long_finish_over_the_switch(result: Result) -> None:
    moments = [moment for step in result.steps for moment in step.switches(result.summary, hosts=1)]
    over = result.summary.over(moments)

    assert over
    assert [str(answer) for answer in over if answer.error or answer.took < 10] == []


def test_files_that_an_older_page_names_are_still_there(result: Result) -> None:
    old = result.summary.of("old static")

    assert old
    assert [str(answer) for answer in old if answer.error] == []


def test_no_mail_is_lost_or_sent_twice(result: Result) -> None:
    assert result.mails.arrived
    assert result.mails.lost == result.mails.twice == []


def test_no_task_is_lost_or_run_twice(result: Result) -> None:
    assert result.tasks.ended
    assert result.tasks.lost == result.tasks.begun_twice == []
