"""Errors of Gunicorn and of a worker reach Sentry, without whom they are about, and nobody waits for it."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.browser import PASSWORD, Browser
from tests.integration.conftest import Start
from tests.integration.mailbox import Mailbox
from tests.integration.sentry import Sentry
from tests.integration.servers import ROOT, black_hole, free_port, listening, wait_until

TOKEN = "c0ffee-0123456789abcdef0123456789abcdef"


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    server = Sentry()
    yield server
    server.stop()


def serve(start: Start, tmp_path: Path, **changes: str) -> Browser:
    """Gunicorn whose database is away, so that every page that asks it fails."""
    port, nobody = free_port(), free_port()
    database = f"postgres://saas:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{nobody}/saas"
    command = ("gunicorn", "config.wsgi", "-b", f"127.0.0.1:{port}", "-w", "2", "--control-socket", str(tmp_path / "c"))
    start(*command, DATABASE_URL=database, **changes)
    wait_until(lambda: listening(port), "Gunicorn listens")
    return Browser(port)


@pytest.mark.parametrize("strategy", ["sentry", "console", "queue"])
def test_a_page_that_fails_is_told_without_its_visitor(
    start: Start, sentry: Sentry, tmp_path: Path, strategy: str
) -> None:
    browser = serve(start, tmp_path, SENTRY_DSN=sentry.dsn, LOG_STRATEGY=strategy)
    browser.headers |= {"X-Request-ID": uuid.uuid4().hex, "User-Agent": "Bos browser"}
    token = browser.token("/accounts/register/")
    form = {"username": "bo", "email": "bo@example.org", "password1": PASSWORD, "password2": PASSWORD}

    assert browser.get(f"/accounts/reset/Mg/{TOKEN}/?next=bo").status_code == 500
    assert browser.request("POST", "/accounts/register/", csrfmiddlewaretoken=token, **form).status_code == 500

    wait_until(lambda: len(sentry.of("django.request")) == 2, "both errors arrive")
    event = sentry.of("django.request")[0]
    assert event["release"] == ROOT.name
    assert event["tags"]["request_id"] == browser.headers["X-Request-ID"]
    assert event["exception"]["values"][-1]["type"] == "OperationalError"
    for secret in (TOKEN, "bo@example.org", PASSWORD, "Bos browser", token, *browser.cookies.values(), '"vars"'):
        assert secret not in sentry.text


def test_a_task_that_fails_is_told_with_its_identifiers(
    start: Start, sentry: Sentry, tmp_path: Path, mailbox: Mailbox, browser: Browser
) -> None:
    options = ("-Q", "email,celery,dead_letter", "-c", "2", "-l", "info", "--max-tasks-per-child", "1")
    worker = start("celery", "-A", "config", "worker", *options, SENTRY_DSN=sentry.dsn)
    wait_until(lambda: " ready." in worker.output(), "the worker is ready")
    name = f"bo{uuid.uuid4().hex[:8]}"
    mailbox.answer = lambda address: f"550 5.1.1 nobody is {address}" if name in address else None

    browser.register(name)

    wait_until(lambda: sentry.events, "the error arrives")
    worker.stop()
    event = sentry.events[0]
    assert event["tags"]["task_name"] == "core.tasks.send_welcome_email"
    assert re.fullmatch(r"[0-9a-f-]{36}", event["tags"]["task_id"])
    assert event["tags"]["user_id"].isdecimal()
    assert event["tags"]["request_id"]
    assert name not in sentry.text


def test_nobody_waits_for_it(start: Start, tmp_path: Path) -> None:
    with black_hole() as port:
        browser = serve(start, tmp_path, SENTRY_DSN=f"http://key@127.0.0.1:{port}/7")

        # More than the SDK keeps.
        statuses = {browser.get(f"/accounts/reset/Mg/{TOKEN}/").status_code for _ in range(120)}

    assert statuses == {500}
