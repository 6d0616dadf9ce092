"""Sweepers with real servers: how much they read, how they share, what they do when the broker was emptied."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import APP, ROOT, Postgres, Process, Redis, wait_until

MILLION = 1_000_000
# Three batches.
BACKLOG = 3000
INSERT = """
    INSERT INTO core_taskrecord (id, task, queue, payload, state, created_at, due_at, closed_at,
                                 attempts, retries, losses, publishes, worker)
    SELECT gen_random_uuid(), 'core.tasks.send_welcome_email', 'email', %(payload)s, %(state)s::varchar,
           now() - i * interval '1 second', now() - i * interval '1 second',
           CASE WHEN %(state)s::varchar = 'done' THEN now() END, 0, 0, 0, 0, ''
    FROM generate_series(1, %(count)s) AS i
"""
PAYLOAD = json.dumps({"args": [], "kwargs": {"user_id": 0, "login_url": "https://example.org/"}, "options": {}})


@contextmanager
def sweeping(environment: Environment, batch: int) -> Iterator["subprocess.Popen[str]"]:
    variables = {**environment, "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(APP)}
    command = [sys.executable, str(ROOT / "tests/integration/sweep.py"), str(batch)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=variables, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process


def sweep_together(environment: Environment, sweepers: int, batch: int) -> tuple[list[float], Counter[str]]:
    with together(*(sweeping(environment, batch) for _ in range(sweepers))) as processes:
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [process.stdout.readline().split() for process in processes]
    return [float(answer[0]) for answer in answers], Counter(key for answer in answers for key in answer[1:])


@contextmanager
def together(*managers: Any) -> Iterator[list[Any]]:
    with ExitStack() as stack:
        yield [stack.enter_context(manager) for manager in managers]


@pytest.fixture
def empty(environment: Environment, postgres: Postgres) -> Iterator[None]:
    def truncate() -> None:
        # Building the emptied indexes counts as scans; what a connection read is counted at the latest when it ends.
        with postgres.connect() as connection:
            connection.execute("TRUNCATE core_taskrecord")

    truncate()
    yield
    truncate()


def full_scans(postgres: Postgres) -> int:
    with postgres.connect() as connection:
        row = connection.execute(
            "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'core_taskrecord'"
        ).fetchone()
    return int(row[0]) if row else 0


def test_sweeping_a_thousand_pending_does_not_read_a_million_done(
    environment: Environment, postgres: Postgres, empty: None
) -> None:
    with postgres.connect() as connection:
        connection.execute(INSERT, {"payload": "", "state": "done", "count": MILLION})
        connection.execute(INSERT, {"payload": PAYLOAD, "state": "waiting", "count": 1000})
        connection.execute("ANALYZE core_taskrecord")

    times, scans = [], 0
    for _ in range(5):
        before = full_scans(postgres)
        (milliseconds,), taken = sweep_together(environment, 1, 1000)
        times.append(milliseconds)
        scans += full_scans(postgres) - before
        assert len(taken) == 1000
        with postgres.connect() as connection:
            connection.execute("UPDATE core_taskrecord SET due_at = created_at WHERE closed_at IS NULL")

    print(f"sweeping {MILLION} done and 1000 pending records: {', '.join(f'{ms:.0f}' for ms in times)} ms")
    assert scans == 0


def test_several_sweepers_share_the_records_out(environment: Environment, postgres: Postgres, empty: None) -> None:
    with postgres.connect() as connection:
        connection.execute(INSERT, {"payload": PAYLOAD, "state": "waiting", "count": 1000})

    _, taken = sweep_together(environment, 4, 50)

    assert len(taken) == 1000
    assert set(taken.values()) == {1}


def swept(environment: Environment) -> int:
    code = "from config.celery import app; from core.durable.sweeper import sweep; print(sweep(app))"
    return int(manage(environment, "shell", "-v0", "-c", code).splitlines()[-1])


@pytest.mark.parametrize("how", ["emptied", "restarted"])
def test_when_the_broker_was_emptied_or_restarted_everything_is_published_again(
    environment: Environment, postgres: Postgres, redis_server: Redis, empty: None, how: str
) -> None:
    with postgres.connect() as connection:
        connection.execute(INSERT, {"payload": PAYLOAD, "state": "published", "count": 10})
        connection.execute("UPDATE core_taskrecord SET due_at = now() + interval '1 hour'")
    swept(environment)
    with postgres.connect() as connection:
        connection.execute("UPDATE core_taskrecord SET due_at = now() + interval '1 hour'")
    before = swept(environment)
    if how == "emptied":
        redis_server.client().flushall()
    else:
        redis_server.stop()
        redis_server.start()

    assert (before, swept(environment), swept(environment)) == (0, 10, 0)
    redis_server.client().delete("email")


def count(postgres: Postgres, sql: bytes) -> int:
    with postgres.connect() as connection:
        row = connection.execute(b"SELECT count(*) FROM core_taskrecord WHERE " + sql).fetchone()
    return int(row[0]) if row else 0


def waiting_for_a_lock(postgres: Postgres) -> int:
    with postgres.connect() as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
    return int(row[0]) if row else 0


def sweeping_worker(start: Start, name: str) -> Process:
    process = start("celery", "-A", "config", "worker", "-Q", "celery", "-c", "1", "-n", name, "-l", "info")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


def test_two_live_workers_publish_each_call_of_a_backlog_once_and_run_it_once(
    start: Start, postgres: Postgres, sender: Celery, empty: None
) -> None:
    workers = [sweeping_worker(start, name) for name in ("one@a", "other@b")]
    with postgres.connect() as connection, connection.transaction():
        connection.execute(INSERT, {"payload": PAYLOAD, "state": "waiting", "count": BACKLOG})
        # Both begin at the same time: when this lock ends.
        connection.execute("LOCK TABLE core_taskrecord IN EXCLUSIVE MODE")
        wait_until(lambda: waiting_for_a_lock(postgres) == 2, "both want to sweep", 60)
    wait_until(lambda: not count(postgres, b"state = 'waiting'"), "all is published", 60)
    for _ in range(3):
        with postgres.connect() as connection:
            connection.execute("UPDATE core_taskrecord SET due_at = now() + interval '10 seconds'")
        wait_until(lambda: not count(postgres, b"due_at < now() + interval '10 seconds'"), "all is looked after", 60)
    sender.control.add_consumer("email")
    # While they fetch, and have not renewed the leases of what they have fetched.
    for _ in range(5):
        with postgres.connect() as connection:
            connection.execute("UPDATE core_taskrecord SET due_at = now() WHERE state = 'published'")
        time.sleep(2)
    wait_until(lambda: not count(postgres, b"state <> 'done'"), "all is done", 240)

    sent = [re.findall(r"send_welcome_email\[(.{36})\] is sent", process.output()) for process in workers]
    assert all(sent), "both have published"
    times = Counter(key for keys in sent for key in keys)
    assert (len(times), set(times.values()), count(postgres, b"attempts <> 1")) == (BACKLOG, {1}, 0)


def test_on_sqlite_too(environment: Environment, tmp_path: Path) -> None:
    variables = {**environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'db'}"}
    manage(variables, "migrate", "--verbosity=0")
    manage(variables, "shell", "-c", FILL)

    _, taken = sweep_together(variables, 3, 50)

    assert len(taken) == 300
    assert set(taken.values()) == {1}


def test_on_sqlite_threads_that_sweep_and_claim_at_once_do_each_record_once(
    environment: Environment, tmp_path: Path
) -> None:
    variables = {**environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'db'}"}
    manage(variables, "migrate", "--verbosity=0")
    manage(variables, "shell", "-c", FILL.replace("300", "100"))

    found = json.loads(manage(variables, "shell", "-v0", "-c", WORK).splitlines()[-1])

    assert len(found["claimed"]) == len(set(found["claimed"])) == 100
    assert len(found["swept"]) == len(set(found["swept"])) > 0


WORK = """
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from django.db import connection
from core.durable import execution, sweeper
from core.durable.patience import patiently
from core.models import TaskRecord

sweeper.BATCH = 10
keys = [str(key) for key in TaskRecord.objects.values_list("pk", flat=True)]

def task(key):
    return SimpleNamespace(name="t", request=SimpleNamespace(id=key, headers={"durable": True}, hostname="w"))

def claim_all():
    return [key for key in keys if patiently(lambda: execution.claim(task(key)))]

def sweep_all():
    return [str(record.pk) for _ in range(30) for record in patiently(sweeper.take_batch).records]

def alone(work):
    try:
        return work()
    finally:
        connection.close()

with ThreadPoolExecutor(6) as pool:
    # Claims are quick: who sweeps begins.
    sweepers, claimers = [pool.map(alone, [work] * 3) for work in (sweep_all, claim_all)]
print(json.dumps({"claimed": sum(claimers, []), "swept": sum(sweepers, [])}))
"""
FILL = """
import uuid
from django.utils.timezone import now
from core.models import TaskRecord
payload = '{"args": [], "kwargs": {}, "options": {}}'
fields = {"task": "t", "queue": "q", "state": "waiting", "created_at": now(), "due_at": now(), "payload": payload}
TaskRecord.objects.bulk_create(TaskRecord(id=uuid.uuid4(), **fields) for _ in range(300))
"""
