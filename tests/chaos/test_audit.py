"""The audit itself: it tells a run that was interrupted from one that was lost for nothing."""

from datetime import UTC, datetime
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any
from uuid import uuid4, uuid5

from tests.chaos.audit import WELCOME, Result, judge_emptied, judge_repeats
from tests.chaos.faults import Saboteur
from tests.chaos.plan import SHORT

KEY = uuid4()
TO = "bo@example.org"


def mail(key: Any = KEY) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["To"] = WELCOME, TO
    message["Message-ID"] = f"<{uuid5(key, f'{WELCOME}|{TO}')}@example.org>"
    return message


def faults(again: int, killed: int, *messages: EmailMessage) -> list[str]:
    site: Any = SimpleNamespace(plan=SimpleNamespace(size=SHORT))
    saboteur = Saboteur(site, print, kills=SHORT.faults["kill worker"])
    saboteur.killed = [(KEY, attempt, datetime.now(UTC)) for attempt in range(killed)]
    result = Result()
    judge_repeats(result, [(KEY, "core.tasks.send_welcome_email", again)], saboteur, list(messages))
    return [fault.partition(":")[0] for fault in result.faults]


def test_what_was_interrupted_may_be_repeated_under_the_same_message_id() -> None:
    assert faults(1, 1, mail(), mail()) == []


def test_what_was_not_interrupted_may_neither_run_again_nor_be_sent_again() -> None:
    assert faults(1, 0, mail()) == ["ran again without an interruption"]
    assert faults(0, 0, mail(), mail()) == ["mails repeated without an interruption"]


def test_what_was_interrupted_once_may_not_be_sent_three_times() -> None:
    assert faults(1, 1, mail(), mail(), mail()) == ["mails repeated without an interruption"]


def test_another_message_id_is_none_of_the_first() -> None:
    found = faults(1, 1, mail(), mail(uuid4()))

    assert found == ["a Message-ID of no record", "welcome mails repeated under another Message-ID"]


def emptied(seconds: float) -> list[str]:
    site: Any = SimpleNamespace(query=lambda *_: [(seconds,)])
    result = Result()
    judge_emptied(result, site, Saboteur(site, print, flushed=[(KEY, 0, datetime.now(UTC))]))
    return result.faults


def test_what_redis_lost_is_published_again_within_a_minute() -> None:
    assert emptied(60) == []
    assert emptied(60.1) == ["what Redis lost was published again after more than 60 s"]


def test_an_emptied_redis_that_lost_nothing_proves_nothing() -> None:
    result, site = Result(), SimpleNamespace()
    judge_emptied(result, site, Saboteur(site, print))  # type: ignore[arg-type]

    assert result.faults == ["nothing waited in Redis when it was emptied"]
