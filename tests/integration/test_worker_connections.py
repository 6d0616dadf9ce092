"""A worker keeps its connections to the database, and does without those that have ended."""

import pytest
from celery import Celery

from tests.integration.conftest import Start
from tests.integration.servers import Postgres, Process, Redis, wait_until

TASKS = 20
OPENED = b"SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
OURS = b"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
def worker(start: Start, redis_server: Redis) -> Process:
    redis_server.client().flushall()
    process = start("celery", "-A", "config", "worker", "-Q", "celery", "-P", "solo", "-l", "info")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


def do(worker: Process, sender: Celery, tasks: int) -> None:
    done = worker.output().count("succeeded in") + tasks
    for _ in range(tasks):
        sender.send_task("core.tasks.forget_rate_limits")
    wait_until(lambda: worker.output().count("succeeded in") == done, "all are done")


def opened(postgres: Postgres) -> int:
    with postgres.connect() as connection:
        return int(connection.execute(OPENED).fetchall()[0][0])


def test_it_opens_none_for_each_task(worker: Process, sender: Celery, postgres: Postgres) -> None:
    do(worker, sender, 1)
    before = opened(postgres)

    do(worker, sender, TASKS)

    # Those that ask, one every now and then of the worker's own thread, and no more.
    assert opened(postgres) - before < TASKS / 2


def test_a_task_does_not_fail_on_one_that_the_database_has_ended(
    worker: Process, sender: Celery, postgres: Postgres
) -> None:
    do(worker, sender, 1)

    with postgres.connect() as connection:
        for (pid,) in connection.execute(OURS).fetchall():
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    do(worker, sender, 1)

    assert "retry" not in worker.output().lower()
