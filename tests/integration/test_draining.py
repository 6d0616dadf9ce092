"""A worker that is told to stop while it runs tasks and has fetched more."""

import signal

import pytest
from celery import Celery

from tests.integration.conftest import Start
from tests.integration.servers import ROOT, Process, Redis, wait_until

RUNNING, FETCHED = 2, 6


@pytest.fixture(params=["prefork", "threads"])
def busy(start: Start, redis_server: Redis, sender: Celery, request: pytest.FixtureRequest) -> Process:
    """Two of its tasks run, as many as it has processes or threads, and six more wait in it."""
    redis_server.client().flushall()
    pool = ("-P", request.param, "-c", str(RUNNING))
    command = ("celery", "-A", "config", "worker", "-Q", "celery", *pool, "-l", "info")
    process = start(*command, "-I", "tests.integration.poison", PYTHONPATH=str(ROOT))
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    for _ in range(RUNNING + FETCHED):
        sender.send_task("tests.integration.poison.take", (8,))
    wait_until(lambda: unacknowledged(redis_server) == RUNNING + FETCHED, "all are fetched")
    return process


@pytest.fixture(params=["prefork", "threads"])
def short_of_time(start: Start, redis_server: Redis, request: pytest.FixtureRequest) -> Process:
    redis_server.client().flushall()
    command = ("celery", "-A", "config", "worker", "-Q", "celery", "-P", request.param, "-c", "3", "-l", "info")
    process = start(*command, "-I", "tests.integration.poison", PYTHONPATH=str(ROOT), DRAIN_SECONDS="10")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


def unacknowledged(server: Redis) -> int:
    return int(server.client().hlen("unacked"))


def queued(server: Redis) -> int:
    return int(server.client().llen("celery"))


def test_it_hands_back_what_it_has_not_begun_and_finishes_the_rest(busy: Process, redis_server: Redis) -> None:
    busy.popen.send_signal(signal.SIGTERM)

    wait_until(lambda: queued(redis_server) == FETCHED, "what waits is handed back", seconds=5)
    assert unacknowledged(redis_server) == RUNNING
    assert busy.popen.wait(30) == 0
    assert busy.output().count("succeeded in") == RUNNING
    assert (queued(redis_server), unacknowledged(redis_server)) == (FETCHED, 0)


def test_it_hands_everything_back_when_it_may_not_wait(busy: Process, redis_server: Redis) -> None:
    busy.popen.send_signal(signal.SIGTERM)
    wait_until(lambda: queued(redis_server) == FETCHED, "what waits is handed back", seconds=5)

    busy.popen.send_signal(signal.SIGQUIT)

    busy.popen.wait(8)
    assert (queued(redis_server), unacknowledged(redis_server)) == (RUNNING + FETCHED, 0)
    assert "succeeded in" not in busy.output()


def test_it_hands_everything_back_at_once_when_the_machine_goes_down(busy: Process, redis_server: Redis) -> None:
    busy.popen.send_signal(signal.SIGQUIT)

    busy.popen.wait(6)
    assert (queued(redis_server), unacknowledged(redis_server)) == (RUNNING + FETCHED, 0)
    assert "succeeded in" not in busy.output()


def test_of_what_it_runs_only_what_has_not_ended_in_time_comes_again(
    short_of_time: Process, redis_server: Redis, sender: Celery
) -> None:
    for seconds in (2, 2, 60):
        sender.send_task("tests.integration.poison.take", (seconds,))
    sender.send_task("tests.integration.poison.take", (0,), countdown=60)
    wait_until(lambda: unacknowledged(redis_server) == 4, "all are fetched")
    short_of_time.popen.send_signal(signal.SIGTERM)

    short_of_time.popen.wait(60)
    assert short_of_time.output().count("succeeded in") == 2
    assert (queued(redis_server), unacknowledged(redis_server)) == (2, 0)
