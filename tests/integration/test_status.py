"""`manage.py status` tells what real servers hold, and tells the rest when one is away."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Connection

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import Postgres, Redis, wait_until
from tests.integration.test_durable_sweepers import INSERT, PAYLOAD
from tests.integration.test_health import stopped, stopped_postgres

TASK = "core.tasks.send_welcome_email"


@pytest.fixture(autouse=True)
def _empty(redis_server: Redis, postgres: Postgres, environment: Environment) -> None:
    redis_server.client().flushdb()
    with postgres.connect() as connection:
        connection.execute("TRUNCATE core_taskrecord, core_deadletter")


@pytest.fixture
def sender(redis_server: Redis) -> Iterator[Celery]:
    with Celery(broker=redis_server.url(0), set_as_current=False) as app:
        yield app


def status(environment: Environment) -> Any:
    return json.loads(manage(environment, "status"))


def test_it_counts_the_messages_of_every_priority(environment: Environment, sender: Celery) -> None:
    for priority in (0, 3, 6, 9):
        sender.send_task(TASK, queue="email", priority=priority)

    queues = status(environment)["broker"]["queues"]

    assert {name: queue["waiting"] for name, queue in queues.items()} == {"celery": 0, "dead_letter": 0, "email": 4}


def test_it_shows_a_queue_that_nobody_consumes(environment: Environment, sender: Celery) -> None:
    sender.send_task(TASK, queue="emial")

    assert status(environment)["broker"]["queues"]["emial"]["waiting"] == 1


def test_it_leaves_out_what_it_may_not_read(environment: Environment, redis_server: Redis) -> None:
    client = redis_server.client()
    keys = ["email", "celery", "dead_letter", "unacked*", "saas:*"]
    client.acl_setuser("limited", enabled=True, nopass=True, keys=keys, commands=["+@all"])
    client.lpush("foreign", "1")
    url = redis_server.url(0).replace("//", "//limited:any@")

    broker = status({**environment, "CELERY_BROKER_URL": url})["broker"]

    assert set(broker["queues"]) == {"celery", "dead_letter", "email"}


def test_it_tells_how_long_the_oldest_message_has_waited(environment: Environment, redis_server: Redis) -> None:
    with Connection(redis_server.url(0)) as connection, connection.SimpleQueue("email") as queue:
        for minutes in (10, 5):
            queue.put({}, headers={"sent_at": time.time() - 60 * minutes})

        told = status(environment)["broker"]["queues"]["email"]

    assert told["waiting"] == 2
    assert 600 <= told["oldest"] < 660


def test_every_message_of_ours_says_when_it_was_sent(environment: Environment) -> None:
    manage(environment, "shell", "-c", "from config.celery import debug_task; debug_task.delay()")

    assert 0 <= status(environment)["broker"]["queues"]["celery"]["oldest"] < 60


def test_it_counts_what_is_fetched_and_not_acknowledged(
    environment: Environment, sender: Celery, redis_server: Redis
) -> None:
    sender.send_task(TASK, queue="email")
    with Connection(redis_server.url(0)) as connection:
        channel: Any = connection.default_channel
        channel.basic_get("email")

        broker = status(environment)["broker"]

    assert broker["queues"]["email"]["waiting"] == 0
    assert broker["unacked"]["count"] == 1
    assert 0 <= broker["unacked"]["oldest"] < 60


def test_it_counts_records(environment: Environment, postgres: Postgres) -> None:
    with postgres.connect() as connection:
        for state in ("published", "waiting", "done"):
            connection.execute(INSERT, {"payload": PAYLOAD, "state": state, "count": 100})
        connection.execute("UPDATE core_taskrecord SET due_at = now() + interval '1 hour' WHERE state = 'waiting'")

        database = status(environment)["database"]

    assert (database["pending"], database["postponed"]) == (100, 100)
    assert 100 <= database["oldest"] < 160


def test_it_tells_the_rest_while_redis_is_silent(environment: Environment, redis_server: Redis) -> None:
    with stopped(redis_server):
        told = status(environment)

    assert told["broker"] == {"error": "TimeoutError"}
    assert told["database"]["pending"] == 0


def test_it_tells_the_rest_while_the_database_is_silent(environment: Environment, postgres: Postgres) -> None:
    with stopped_postgres(postgres):
        told = status(environment)

    assert told["database"] == {"error": "OperationalError"}
    assert told["broker"]["unacked"] == {"count": 0, "oldest": None}


def test_beat_leaves_a_trace_as_long_as_it_goes_on(start: Start, environment: Environment, tmp_path: Path) -> None:
    assert status(environment)["broker"]["beat_silent_for"] is None
    beat = start("celery", "-A", "config", "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")
    wait_until(lambda: status(environment)["broker"]["beat_silent_for"] is not None, "Beat leaves a trace")

    beat.send(signal.SIGSTOP)
    first = status(environment)["broker"]["beat_silent_for"]
    wait_until(lambda: status(environment)["broker"]["beat_silent_for"] > max(first, 6), "Beat is known to be silent")
    beat.send(signal.SIGCONT)

    wait_until(lambda: status(environment)["broker"]["beat_silent_for"] < 5, "Beat goes on")


def test_beat_outlives_the_broker(start: Start, environment: Environment, redis_server: Redis, tmp_path: Path) -> None:
    beat = start("celery", "-A", "config", "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")
    wait_until(lambda: status(environment)["broker"]["beat_silent_for"] is not None, "Beat leaves a trace")

    redis_server.stop()
    time.sleep(6)
    redis_server.start()

    assert beat.popen.poll() is None
    redis_server.client().flushdb()
    wait_until(lambda: status(environment)["broker"]["beat_silent_for"] is not None, "Beat leaves a trace again")
