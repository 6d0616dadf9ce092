import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from celery import Celery

from tests.integration.browser import Browser
from tests.integration.mailbox import Mailbox
from tests.integration.servers import (
    APP,
    BIN,
    Postgres,
    Process,
    Redis,
    free_port,
    listening,
    server_folder,
    tied,
    wait_until,
)

Environment = dict[str, str]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with server_folder() as folder:
        server = Redis(folder)
        yield server
        server.stop()


@pytest.fixture
def sender(redis_server: Redis) -> Iterator[Celery]:
    """Sends messages by name, as another program would."""
    with Celery(broker=redis_server.url(0), set_as_current=False) as app:
        yield app


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with server_folder() as folder:
        server = Postgres(folder)
        yield server
        server.stop(signal.SIGINT)


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    server = Mailbox()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def environment(
    redis_server: Redis, postgres: Postgres, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Production's, with short delays, without a developer's .env; the schema is there."""
    variables = {
        "ENV_FILE": os.devnull,
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": "a-key-for-tests-that-is-long-enough-to-be-taken-for-a-real-one",
        "ALLOWED_HOSTS": "example.org",
        "SITE_URL": "https://example.org",
        "DATABASE_URL": postgres.url,
        "CELERY_BROKER_URL": redis_server.url(0),
        "CELERY_RESULT_BACKEND": redis_server.url(1),
        "CELERY_TASK_DEFAULT_RETRY_DELAY": "1",
        "EMAIL_URL": mailbox.url,
        "EMAIL_TIMEOUT": "2",
        "DEFAULT_FROM_EMAIL": "Django SaaS <noreply@example.org>",
        "LOGS_DIR": str(tmp_path_factory.mktemp("logs")),
    }
    limits = product(("LOGIN", "REGISTER", "RESET"), ("ADDRESS", "ACCOUNT"))
    variables |= {f"RATE_LIMIT_{page}_PER_{what}": "0" for page, what in limits}
    variables |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    manage(variables, "collectstatic", "--noinput", "--verbosity=0")
    manage(variables, "migrate", "--verbosity=0")
    return variables


def manage(environment: Environment, *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    result = subprocess.run(command, cwd=APP, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


Start = Callable[..., Process]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> Iterator[Start]:
    """Starts one of this project's programs in production's environment, until the module ends."""
    started: list[Process] = []

    def run(*command: str, **changes: str) -> Process:
        log = tmp_path_factory.mktemp("process") / "log"
        process = Process([*tied(), str(BIN / command[0]), *command[1:]], log, {**environment, **changes})
        started.append(process)
        return process

    yield run
    for process in reversed(started):
        process.stop()


@pytest.fixture(scope="module")
def worker(start: Start) -> Process:
    process = start("celery", "-A", "config", "worker", "-Q", "email,celery", "-l", "info", "--concurrency=2")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")
    return process


@pytest.fixture(scope="module")
def port(start: Start, tmp_path_factory: pytest.TempPathFactory) -> int:
    number = free_port()
    control = tmp_path_factory.mktemp("gunicorn") / "control"
    start("gunicorn", "config.wsgi", "-b", f"127.0.0.1:{number}", "-w", "2", "--control-socket", str(control))
    wait_until(lambda: listening(number), "Gunicorn listens")
    return number


@pytest.fixture
def browser(port: int) -> Browser:
    return Browser(port)
