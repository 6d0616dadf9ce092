"""Durable delivery where real servers and processes are needed; tests/chaos has the rest."""

import json
import signal
import subprocess
import sys
import time
import uuid
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
INSERT = """
    INSERT INTO core_taskrecord (id, task, queue, payload, state, created_at, due_at, closed_at,
                                 attempts, retries, losses, publishes, worker)
    SELECT gen_random_uuid(), 'core.tasks.send_welcome_email', 'email', %(payload)s, %(state)s::varchar,
           now() - i * interval '1 second', now() - i * interval '1 second',
           CASE WHEN %(state)s::varchar = 'done' THEN now() END, 0, 0, 0, 0, ''
    FROM generate_series(1, %(count)s) AS i
"""
PAYLOAD = json.dumps({"args": [], "kwargs": {"user_id": 0, "login_url": "https://example.org/"}, "options": {}})


@pytest.fixture(scope="module")
def poisoned(start: Start) -> Process:
    process = start(
        *("celery", "-A", "config", "worker", "-Q", "email,celery,dead_letter", "-c", "1", "-l", "info"),
        *("-I", "tests.integration.poison"),
        PYTHONPATH=str(ROOT),
    )
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


@pytest.fixture
def sender(redis_server: Redis) -> Iterator[Celery]:
    """Sends messages by name, as another program would."""
    with Celery(broker=redis_server.url(0), set_as_current=False) as app:
        yield app


def letter(postgres: Postgres, task_id: str) -> dict[str, Any] | None:
    with postgres.connect() as connection:
        row = connection.execute("SELECT to_jsonb(l) FROM core_deadletter l WHERE task_id = %s", [task_id]).fetchone()
    return row[0] if row else None


def wait_for_letter(postgres: Postgres, task_id: str, seconds: float = 60) -> dict[str, Any]:
    wait_until(lambda: letter(postgres, task_id), f"a dead letter {task_id}", seconds)
    found = letter(postgres, task_id)
    assert found
    return found


def test_a_task_that_keeps_killing_its_process_is_a_dead_letter(
    poisoned: Process, sender: Celery, postgres: Postgres
) -> None:
    key = str(uuid.uuid4())
    sender.send_task("tests.integration.poison.kill_own_process", task_id=key, queue="celery")

    found = wait_for_letter(postgres, key, 120)

    assert (found["reason"], found["attempts"]) == ("worker lost too often", 5)


def test_an_unknown_task_is_a_dead_letter(poisoned: Process, sender: Celery, postgres: Postgres) -> None:
    key = str(uuid.uuid4())
    arguments = {"reset_link": "secret-1", "x": 2}
    sender.send_task("core.tasks.gone", [1, "nul \0", float("nan")], arguments, task_id=key, queue="email")

    found = wait_for_letter(postgres, key)

    assert (found["reason"], found["task"], found["queue"]) == ("unknown task", "core.tasks.gone", "email")
    # As far as PostgreSQL can hold it.
    assert (found["args"], found["kwargs"]["x"]) == ([1, "nul \ufffd", "nan"], 2)
    assert "secret-1" not in json.dumps(found)


def test_an_undecodable_message_is_a_dead_letter(
    poisoned: Process, sender: Celery, redis_server: Redis, postgres: Postgres
) -> None:
    key = str(uuid.uuid4())
    with sender.connection_for_write() as connection:
        producer = connection.Producer()
        headers = {"id": key, "task": "core.tasks.send_welcome_email", "lang": "py"}
        producer.publish(
            b"\x80\x04K\x01.",
            content_type="application/x-python-serialize",
            content_encoding="binary",
            routing_key="celery",
            headers=headers,
        )

    assert wait_for_letter(postgres, key)["reason"] == "undecodable message"


NESTED: Any = []
for _ in range(700):
    NESTED = [NESTED]


@pytest.mark.parametrize("body", [[1, 2, 3], [[NESTED], {}, {}]], ids=["no arguments", "nested"])
def test_what_has_no_proper_arguments_is_a_dead_letter_and_ends_no_worker(
    poisoned: Process, sender: Celery, postgres: Postgres, body: Any
) -> None:
    key = str(uuid.uuid4())
    with sender.connection_for_write() as connection:
        headers = {"id": key, "task": "core.tasks.gone"}
        connection.Producer().publish(body, routing_key="celery", headers=headers)

    assert wait_for_letter(postgres, key)["masked"]
    assert poisoned.popen.poll() is None


def test_while_the_database_is_down_the_letter_waits_in_the_queue(
    poisoned: Process, sender: Celery, postgres: Postgres
) -> None:
    key = str(uuid.uuid4())
    before = poisoned.output().count("OperationalError")
    postgres.stop(signal.SIGINT)
    try:
        sender.send_task("core.tasks.gone", task_id=key, queue="celery")
        wait_until(lambda: poisoned.output().count("OperationalError") > before, "the letter was tried", 60)
        time.sleep(1)
    finally:
        postgres.start()

    assert wait_for_letter(postgres, key)["reason"] == "unknown task"


def test_in_a_pool_of_threads_the_lease_bounds_a_task(
    start: Start, sender: Celery, postgres: Postgres, poisoned: Process
) -> None:
    poisoned.stop()
    threads = start(
        *(
            "celery",
            "-A",
            "config",
            "worker",
            "-Q",
            "email,celery,dead_letter",
            "-P",
            "threads",
            "-c",
            "2",
            "-l",
            "info",
        ),
        *("-I", "tests.integration.poison"),
        PYTHONPATH=str(ROOT),
        CELERY_TASK_TIME_LIMIT="5",
        CELERY_TASK_SOFT_TIME_LIMIT="4",
    )
    wait_until(lambda: " ready." in threads.output(), "the worker is ready")
    key = str(uuid.uuid4())
    sender.send_task("tests.integration.poison.hang_once", task_id=key, queue="celery")

    def done() -> bool:
        with postgres.connect() as connection:
            sql = "SELECT state, attempts FROM core_taskrecord WHERE id = %s"
            return connection.execute(sql, [key]).fetchone() == ("done", 2)

    wait_until(done, "the second run is done", 75)
    threads.send(signal.SIGKILL)


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
from core.models import TaskRecord

sweeper.BATCH = 10
keys = [str(key) for key in TaskRecord.objects.values_list("pk", flat=True)]

def task(key):
    return SimpleNamespace(name="t", request=SimpleNamespace(id=key, headers={"durable": True}, hostname="w"))

def claim_all():
    return [key for key in keys if execution.patiently(lambda: execution.claim(task(key)))]

def sweep_all():
    return [str(record.pk) for _ in range(30) for record in execution.patiently(sweeper.take_batch).records]

def alone(work):
    try:
        return work()
    finally:
        connection.close()

with ThreadPoolExecutor(6) as pool:
    claimers, sweepers = [pool.map(alone, [work] * 3) for work in (claim_all, sweep_all)]
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
