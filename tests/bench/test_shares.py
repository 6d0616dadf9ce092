import pytest

from tests.bench.shares import OTHER, Function, place, split, within

SEND: Function = ("/lib/python3.11/smtplib.py", 1, "sendmail")
QUERY: Function = ("/site-packages/django/db/models/query.py", 1, "get")
CLAIM: Function = ("/app/core/durable/execution.py", 1, "claim")
STATEMENT: Function = ("/app/core/durable/statements.py", 1, "claim")
WRITE: Function = ("~", 0, "<method 'send' of '_socket.socket' objects>")
HELP: Function = ("/lib/python3.11/socket.py", 1, "sendall")
ALONE: Function = ("/lib/python3.11/selectors.py", 1, "select")


def called(seconds: float) -> tuple[int, int, float, float]:
    return (1, 1, seconds, seconds)


STATS = {
    SEND: (1, 1, 1.0, 5.0, {}),
    CLAIM: (1, 1, 0.5, 3.5, {}),
    STATEMENT: (1, 1, 0.0, 3.0, {CLAIM: called(3.0)}),
    QUERY: (1, 1, 2.0, 3.0, {STATEMENT: called(3.0)}),
    HELP: (1, 1, 0.0, 3.0, {SEND: called(3.0)}),
    WRITE: (2, 2, 4.0, 4.0, {HELP: called(3.0), QUERY: called(1.0)}),
    ALONE: (1, 1, 0.25, 0.25, {}),
}


def test_each_function_is_somebodys_or_nobodys() -> None:
    parse: Function = ("/lib/python3.11/email/utils.py", 1, "parseaddr")

    assert [place(function) for function in (SEND, QUERY, WRITE, parse)] == ["sending", "database", None, None]


def test_what_is_nobodys_is_its_callers_in_proportion() -> None:
    found = split(STATS)

    assert found.pop("Celery and this service's tasks") == 0.5
    assert found == pytest.approx({"sending": 4.0, "database": 3.0, OTHER: 0.25})


def test_within_a_function_is_all_that_it_calls() -> None:
    assert within(STATS, "/core/durable/", ("claim", "end")) == 3.5
