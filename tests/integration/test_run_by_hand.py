"""What the settings for development promise: nothing but Python, and Celery's own commands."""

import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import requests

from tests.integration.browser import PASSWORD
from tests.integration.conftest import Environment, Start, manage
from tests.integration.mailbox import Mailbox
from tests.integration.servers import APP, Process, free_port, listening, wait_until


@pytest.fixture
def development(mailbox: Mailbox, tmp_path: Path) -> Environment:
    changes = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "LOGS_DIR": str(tmp_path / "logs")}
    empty = dict.fromkeys(("SECRET_KEY", "ALLOWED_HOSTS", "SITE_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"), "")
    return {"DEBUG": "true", "EMAIL_URL": mailbox.url, "CELERY_ALWAYS_EAGER": "false", **changes, **empty}


def test_runserver_carries_the_worker_and_ends_at_once(
    start: Start, environment: Environment, development: Environment, mailbox: Mailbox
) -> None:
    manage({**environment, **development}, "migrate", "--verbosity=0")
    port, name = free_port(), f"bo{uuid.uuid4().hex[:8]}"
    process = start("python", "manage.py", "runserver", f"127.0.0.1:{port}", **development)
    wait_until(lambda: listening(port), "runserver listens")
    session, url = requests.Session(), f"http://127.0.0.1:{port}/accounts/register/"
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', session.get(url).text)
    assert token
    form = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}

    session.post(url, data={"csrfmiddlewaretoken": token[1], **form})

    mailbox.wait_for(f"{name}@example.org", "Welcome to Django SaaS")
    process.stop(signal.SIGINT)
    # Where it hangs, `stop` kills it.
    assert process.popen.returncode == 0


def test_a_worker_on_memory_refuses(environment: Environment, development: Environment) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "config", "worker"],
        cwd=APP,
        env={**environment, **development},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("A worker on memory:// receives nothing: set CELERY_BROKER_URL")


@pytest.mark.parametrize(("options", "consumed"), [("", ", dead_letter"), ("-X dead_letter", "")])
def test_the_default_worker_consumes_dead_letters_but_where_they_are_excluded(
    start: Start, options: str, consumed: str
) -> None:
    command = ["celery", "-A", "config", "worker", "-Q", "email,celery", "-l", "info", "--concurrency=4"]
    process = start(*command, *options.split())
    wait_until(lambda: " ready " in process.output(), "the worker is ready")

    process.stop()
    assert f" is ready and consumes email, celery{consumed}\n" in process.output()


def test_inspect_lists_what_is_active(worker: Process, start: Start) -> None:
    process = start("celery", "-A", "config", "inspect", "active")
    process.popen.wait(20)

    assert "1 node online." in process.output()


def test_flower_answers_to_its_credentials_alone(worker: Process, start: Start) -> None:
    port = free_port()
    start("celery", "-A", "config", "flower", f"--port={port}", "--basic-auth=user:password", "--address=127.0.0.1")
    wait_until(lambda: listening(port), "Flower listens")
    url = f"http://127.0.0.1:{port}/api/workers?refresh=1"

    assert requests.get(url, timeout=9).status_code == 401
    wait_until(lambda: requests.get(url, auth=("user", "password"), timeout=9).json(), "Flower knows the worker")


def test_beat_knows_the_daily_cleanup(start: Start, tmp_path: Path) -> None:
    schedule = f"--schedule={tmp_path}/schedule"
    process = start("celery", "-A", "config", "beat", schedule, "--pidfile=", "-l", "debug", DJANGO_LOG_LEVEL="INFO")

    wait_until(lambda: "cleanup-tokens-daily" in process.output(), "Beat shows its schedule")
