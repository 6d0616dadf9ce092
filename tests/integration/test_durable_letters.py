"""What finally fails in a real worker is a dead letter."""

import json
import signal
import time
import uuid
from typing import Any

import pytest
from celery import Celery

from tests.integration.conftest import Start
from tests.integration.servers import ROOT, Postgres, Process, Redis, wait_until


@pytest.fixture(scope="module")
def poisoned(start: Start) -> Process:
    process = start(
        *("celery", "-A", "config", "worker", "-Q", "email,celery,dead_letter", "-c", "1", "-l", "info"),
        *("-I", "tests.integration.poison"),
        PYTHONPATH=str(ROOT),
    )
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


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
