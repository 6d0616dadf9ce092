"""In a pool of threads, which cannot enforce time limits, the lease on the record bounds a task."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import ROOT, Postgres, Process, wait_until

LIMIT = 5
# Of the caller too: a call takes its limits along.
LIMITS = {"CELERY_TASK_TIME_LIMIT": str(LIMIT), "CELERY_TASK_SOFT_TIME_LIMIT": str(LIMIT - 1)}
CALL = "from tests.integration import poison; print(poison.hang_once.delay().id, poison.hang_for_ever.delay().id)"

AGAIN = b"""
    SELECT attempts, extract(epoch FROM started_at - created_at) FROM core_taskrecord WHERE id = %s AND state = 'done'
"""
DEAD = b"""
    SELECT reason, letter.attempts, extract(epoch FROM closed_at - started_at)
    FROM core_deadletter letter JOIN core_taskrecord record ON task_id = id::text WHERE id = %s
"""


@pytest.fixture(scope="module")
def threads(start: Start) -> Iterator[Process]:
    command = ("celery", "-A", "config", "worker", "-Q", "email,celery,dead_letter", "-P", "threads", "-c", "4")
    process = start(*command, "-l", "info", "-I", "tests.integration.poison", PYTHONPATH=str(ROOT), **LIMITS)
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    yield process
    # It would wait for the threads that hang.
    process.send(signal.SIGKILL)


@pytest.fixture(scope="module")
def called(threads: Process, environment: Environment, postgres: Postgres) -> list[str]:
    """The ids of a call that hangs once, and of one that has hung four times and does so again."""
    keys = manage({**environment, **LIMITS, "PYTHONPATH": str(ROOT)}, "shell", "-v0", "-c", CALL).split()[-2:]
    with postgres.connect() as connection:
        connection.execute("UPDATE core_taskrecord SET losses = 4 WHERE id = %s", [keys[1]])
    return keys


def wait_for(postgres: Postgres, sql: bytes, key: str) -> tuple[Any, ...]:
    def found() -> tuple[Any, ...] | None:
        with postgres.connect() as connection:
            return connection.execute(sql, [key]).fetchone()

    wait_until(found, f"an answer to {sql!r}", 90)
    return found() or ()


def test_what_hangs_is_run_again(called: list[str], postgres: Postgres) -> None:
    attempts, seconds = wait_for(postgres, AGAIN, called[0])

    assert attempts == 2
    assert seconds <= LIMIT + 60


def test_what_hangs_for_the_fifth_time_is_a_dead_letter(called: list[str], postgres: Postgres) -> None:
    reason, attempts, seconds = wait_for(postgres, DEAD, called[1])

    assert (reason, attempts) == ("worker lost too often", 1)
    assert seconds <= LIMIT + 60
