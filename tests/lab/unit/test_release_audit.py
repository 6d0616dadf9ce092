import dataclasses
import json
from pathlib import Path

import pytest

from tests.lab.answers import Answer, Summary, read, told
from tests.lab.release_audit import count_mails, count_tasks, gap
from tests.lab.release_bench import Step

ONE = Answer("page", 100, 0.5, "GET", "/", "web1", 200, "old", "", "")


def answer(**fields: object) -> Answer:
    return dataclasses.replace(ONE, **fields)  # type: ignore[arg-type]


def test_it_reads_all_but_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [json.dumps(dataclasses.asdict(ONE)), json.dumps({"kind": "end", "elapsed": 10, "cpu": 1, "late": 0.1})]
    log.write_text("\n".join([*lines, '{"kind": "pa']), encoding="utf-8")

    summary = read(log)

    assert (summary.answers, summary.share) == ([ONE], 0.1)


def test_what_takes_long_by_itself_is_not_the_slowest() -> None:
    summary = Summary([ONE, answer(kind="slow", took=10.0)])

    assert summary.slowest == 0.5


def test_the_first_failures_are_shown() -> None:
    text = "\n".join(told(Summary([answer(status=502, error="answers 502, not 200", path=f"/{n}") for n in range(12)])))

    assert "failed     12" in text
    assert text.count("answers 502, not 200 after 0.50 s") == 10


def test_a_switch_is_over_when_each_host_answers_with_the_new_release() -> None:
    first, second = answer(at=101, release="new"), answer(at=102, release="new", host="web2")
    step = Step("deploy", "old", "new", begun=100)

    assert step.switches(Summary([ONE, first]), hosts=2) == []
    assert step.switches(Summary([ONE, first, second]), hosts=2) == [101.5, 102.5]


def test_an_answer_from_before_the_step_is_no_switch() -> None:
    step = Step("rollback", "new", "old", begun=101)

    assert step.switches(Summary([ONE, answer(at=104)]), hosts=1) == [104.5]


def test_long_requests_that_a_switch_met_are_found() -> None:
    met, missed = answer(kind="slow", took=10.0), answer(kind="slow", at=111, took=10.0)

    assert Summary([ONE, met, missed]).over([105]) == [met]


def test_mails_that_are_lost_or_come_twice_are_told() -> None:
    mails = count_mails({"a": 1, "b": 2, "c": 3}, [(1, "a"), (2, "b"), (9, "b")])

    assert (mails.lost, mails.twice, mails.arrived) == (["c"], ["b"], 3)


@pytest.mark.parametrize(
    ("came", "longest"), [([1, 2, 9, 10], (7, 9)), ([8, 10], (7, 8)), ([1, 2], (8, 10)), ([], (9, 10))]
)
def test_the_longest_time_without_a_mail_counts_from_the_first_registration_to_the_last(
    came: list[float], longest: tuple[float, float]
) -> None:
    assert gap([1, 10], came) == longest


def test_tasks_that_are_lost_or_run_twice_are_told() -> None:
    tasks = count_tasks([(1, 1, 1), (2, 0, 0), (3, 2, 1), (4, 2, 2), (5, 1, 0)])

    assert (tasks.asked, tasks.begun, tasks.ended) == (5, 4, 3)
    assert (tasks.lost, tasks.begun_twice, tasks.ended_twice) == ([2, 5], [3, 4], [4])
