"""What a rotation's load tells."""

from dataclasses import replace

from tests.lab.answers import Answer, Summary
from tests.lab.release_audit import Mails, Tasks
from tests.lab.rotation import Outcome

ANSWER = Answer("page", 0, 0.1, "GET", "/", "web1", 200, "a", "", "")
WELL = Outcome(
    Summary([ANSWER]),
    Mails(asked=1, arrived=1, lost=[], twice=[], gap=(0, 0)),
    Tasks(asked=1, begun=1, ended=1, lost=[], begun_twice=[], ended_twice=[]),
)


def test_nobody_notices_what_went_well() -> None:
    assert WELL.noticed == []


def test_each_thing_that_went_wrong_is_noticed() -> None:
    failed = replace(ANSWER, status=502, error="answers 502, not 200")
    outcome = Outcome(
        Summary([ANSWER, failed]),
        replace(WELL.mails, lost=["a@example.org"], twice=["b@example.org"]),
        replace(WELL.tasks, lost=[3], begun_twice=[4]),
    )

    first, *others = outcome.noticed

    assert first == str(failed)
    assert others == ["lost a@example.org", "lost 3", "twice b@example.org", "twice 4"]


def test_so_is_that_nothing_was_asked_for() -> None:
    nothing = Outcome(Summary(), replace(WELL.mails, arrived=0), replace(WELL.tasks, ended=0))

    assert nothing.noticed == ["no requests", "no mails", "no tasks"]
