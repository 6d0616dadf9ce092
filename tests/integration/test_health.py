import os
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import redis
import requests
from django.test import override_settings

from core.health import broker_answers, check_broker
from tests.integration.browser import Browser
from tests.integration.conftest import Start
from tests.integration.servers import (
    Postgres,
    Process,
    Redis,
    SilentRedis,
    black_hole,
    free_port,
    listening,
    program,
    wait_until,
)


@contextmanager
def stopped(server: Process) -> Iterator[None]:
    server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send(signal.SIGCONT)


def ask(browser: Browser) -> tuple[requests.Response, float]:
    start = time.perf_counter()
    response = browser.get("/health/")
    return response, time.perf_counter() - start


def ask_plainly(port: int) -> float:
    """Without what a comfortable client costs."""
    start = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/health/", headers={"Host": "example.org"})
    connection.getresponse().read()
    return time.perf_counter() - start


def assert_promised(answers: list[tuple[requests.Response, float]]) -> None:
    """Whoever monitors relies on a second. One that is exceeded shows in every answer, a busy machine only in some."""
    assert {response.status_code for response, _ in answers} == {200}
    assert min(seconds for _, seconds in answers) <= 1


def test_it_is_ok_when_all_is_well(browser: Browser, port: int) -> None:
    times = [ask_plainly(port) for _ in range(100)]

    print(f"/health/: median {statistics.median(times) * 1000:.1f} ms of 100")
    assert ask(browser)[0].json() == {"status": "ok"}


def test_it_answers_within_a_second_when_redis_is_silent(browser: Browser, redis_server: Redis) -> None:
    ask(browser)
    with stopped(redis_server):
        answers = [ask(browser) for _ in range(4)]

    print("/health/ with Redis stopped:", *(f"{seconds:.2f} s" for _, seconds in answers))
    assert_promised(answers)


def test_it_answers_within_a_second_when_redis_is_black_holed(start: Start) -> None:
    number = free_port()
    with black_hole() as redis_port:
        url = f"redis://127.0.0.1:{redis_port}/0"
        start("gunicorn", "config.wsgi", "-b", f"127.0.0.1:{number}", "--no-control-socket", CELERY_BROKER_URL=url)
        wait_until(lambda: listening(number), "Gunicorn listens")
        # The first answer of a process waits until the application is loaded.
        Browser(number).get("/accounts/login/")
        answers = [ask(Browser(number)) for _ in range(4)]

    print("/health/ with Redis black-holed:", *(f"{seconds:.2f} s" for _, seconds in answers))
    assert_promised(answers)


def test_a_silent_broker_is_asked_once() -> None:
    with SilentRedis() as silent:
        with override_settings(CELERY_BROKER_URL=silent.url):
            assert not broker_answers()

        assert silent.asked() == 1


def test_it_answers_more_threads_than_it_has_connections(redis_server: Redis) -> None:
    url = redis_server.url(0)
    with redis.Redis.from_url(url) as client, ThreadPoolExecutor(12) as threads:
        # All have asked before the first is answered.
        client.client_pause(150)
        with override_settings(CELERY_BROKER_URL=url):
            answers = list(threads.map(lambda _: broker_answers(), range(12)))

    assert answers == [True] * 12


def test_a_restart_of_the_broker_is_no_outage_and_an_outage_is_found_at_once(redis_server: Redis) -> None:
    with override_settings(CELERY_BROKER_URL=redis_server.url(0)):
        before = broker_answers()
        redis_server.stop()
        gone = broker_answers()
        redis_server.start()
        back = broker_answers()
        redis_server.stop()
        redis_server.start()

        assert [before, gone, back, broker_answers()] == [True, False, True, True]


def test_it_is_ok_when_redis_is_gone(browser: Browser, redis_server: Redis) -> None:
    ask(browser)
    redis_server.stop()
    gone, _ = ask(browser)
    redis_server.start()

    assert (gone.status_code, gone.json()) == (200, {"status": "ok"})


def test_it_fails_when_the_database_is_gone_and_recovers(browser: Browser, postgres: Postgres) -> None:
    ask(browser)
    postgres.stop(signal.SIGINT)
    try:
        response, _ = ask(browser)
    finally:
        postgres.start()

    assert (response.status_code, response.text) == (503, '{"status": "error"}')
    wait_until(lambda: ask(browser)[0].status_code == 200, "health is back")


def test_it_fails_when_the_database_is_silent(browser: Browser, postgres: Postgres) -> None:
    for _ in range(4):
        ask(browser)
    with stopped_postgres(postgres):
        answers = [ask(browser) for _ in range(3)]

    print("/health/ with PostgreSQL stopped:", *(f"{seconds:.2f} s" for _, seconds in answers))
    assert {response.status_code for response, _ in answers} == {503}
    wait_until(lambda: ask(browser)[0].status_code == 200, "health is back")


def test_it_asks_a_broker_behind_a_socket_file(tmp_path: Path) -> None:
    # A path of its own, since sockets' may have no more than 107 characters.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "redis.sock"
        server = Process(
            [program("redis-server", "redis-server"), "--port", "0", "--unixsocket", str(path), "--save", ""],
            tmp_path / "log",
        )
        wait_until(path.exists, "Redis listens")
        try:
            check_broker(f"redis+socket://{path}?virtual_host=3")
        finally:
            server.stop()


@contextmanager
def stopped_postgres(postgres: Postgres) -> Iterator[None]:
    """Its backends are in groups of their own."""
    with postgres.connect() as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").fetchall()
    pids = [pid for (pid,) in rows] + [postgres.popen.pid]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
