"""Messages and runs that are lost while Redis itself loses nothing."""

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import ROOT, Postgres, Process, Redis, wait_until

SWEEP = """
from config.celery import app
from core.durable.sweeper import sweep
import time
start = time.monotonic()
while sweep(app): pass
print(time.monotonic() - start)
"""
BACKLOG = int(os.environ.get("BACKLOG", "1500"))
SEND = 'from tests.integration.poison import hang_once; hang_once.apply_async(queue="email")'
WELCOMES = """
from core.tasks import send_welcome_email
for _ in range({count}): send_welcome_email.delay(0, "https://example.org/")
"""


@pytest.fixture(autouse=True)
def empty(environment: Environment, postgres: Postgres, redis_server: Redis) -> Iterator[None]:
    redis_server.client().flushall()
    manage(environment, "shell", "-v0", "-c", SWEEP)
    yield
    with postgres.connect() as connection:
        connection.execute("TRUNCATE core_taskrecord, core_deadletter")
    redis_server.client().flushall()


def shell(environment: Environment, code: str) -> str:
    return manage({**environment, "PYTHONPATH": str(ROOT)}, "shell", "-v0", "-c", code)


def sweep_when_all_are_due(environment: Environment, postgres: Postgres) -> float:
    """Return how many seconds it took, a shell's start not counted."""
    with postgres.connect() as connection:
        connection.execute("UPDATE core_taskrecord SET due_at = created_at WHERE closed_at IS NULL")
    return float(shell(environment, SWEEP).split()[-1])


def published_again(postgres: Postgres) -> int:
    with postgres.connect() as connection:
        row = connection.execute("SELECT sum(publishes) FROM core_taskrecord").fetchone()
    return int(row[0]) if row else 0


def states(postgres: Postgres) -> list[str]:
    with postgres.connect() as connection:
        return [state for (state,) in connection.execute("SELECT DISTINCT state FROM core_taskrecord").fetchall()]


def worker(start: Start) -> Process:
    command = ("celery", "-A", "config", "worker", "-Q", "email,celery,dead_letter", "-c", "1", "-l", "info")
    process = start(*command, "-I", "tests.integration.poison", PYTHONPATH=str(ROOT))
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


def test_a_backlog_is_published_once_and_what_is_lost_of_it_goes_to_the_front(
    environment: Environment, postgres: Postgres, redis_server: Redis
) -> None:
    shell(environment, WELCOMES.format(count=BACKLOG))
    client = redis_server.client()
    times = [sweep_when_all_are_due(environment, postgres) for _ in range(4)]
    print(f"sweeping a backlog of {BACKLOG} messages: {', '.join(f'{seconds:.1f}' for seconds in times)} s")
    waiting = client.llen("email")
    # As BRPOP does for a worker that dies before it has noted them.
    lost = client.rpop("email", 3)
    sweep_when_all_are_due(environment, postgres)

    assert waiting == BACKLOG
    assert (client.llen("email"), published_again(postgres)) == (BACKLOG, 3)
    assert isinstance(lost, list)
    assert [ident(message) for message in client.lrange("email", -3, -1)[::-1]] == [ident(text) for text in lost]


def ident(message: str | bytes) -> str:
    return str(json.loads(message)["headers"]["id"])


def test_what_a_killed_worker_had_fetched_runs_within_a_minute(
    start: Start, environment: Environment, postgres: Postgres, redis_server: Redis
) -> None:
    shell(environment, SEND)
    shell(environment, WELCOMES.format(count=3))
    for _ in range(6):
        sweep_when_all_are_due(environment, postgres)
    client = redis_server.client()
    first = worker(start)
    wait_until(lambda: client.hlen("unacked") == 4, "the worker has fetched everything")
    wait_until(lambda: "running" in states(postgres), "the first task runs")
    first.send(signal.SIGKILL)
    first.popen.wait(5)
    worker(start)

    wait_until(lambda: states(postgres) == ["done"], "everything is done", 60)


@pytest.fixture(scope="module")
def strict(start: Start) -> Process:
    return worker(start)


@pytest.mark.parametrize("task", ["run_past_the_limit", "run_past_the_limit_plainly"])
def test_what_is_killed_at_its_time_limit_is_a_dead_letter_and_not_run_again(
    strict: Process, environment: Environment, postgres: Postgres, task: str
) -> None:
    code = f"from tests.integration.poison import {task} as task; print(task.delay().id)"
    key = shell(environment, code).split()[-1]

    def letter() -> tuple[object, ...] | None:
        with postgres.connect() as connection:
            sql = "SELECT reason, attempts, queue, exception FROM core_deadletter WHERE task_id = %s"
            return connection.execute(sql, [key]).fetchone()

    wait_until(letter, "a dead letter", 30)
    time.sleep(3)

    assert letter() == ("time limit exceeded", 1, "celery", "TimeLimitExceeded: TimeLimitExceeded(2,)")
