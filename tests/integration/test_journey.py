import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from tests.integration.browser import PASSWORD, Browser
from tests.integration.mailbox import Mailbox, link, part
from tests.integration.servers import Postgres, Process, Redis, wait_until

NEW = "battery staple 9"


@pytest.fixture
def name() -> str:
    return f"bo{uuid.uuid4().hex[:8]}"


def test_a_registration_brings_a_welcome_mail(browser: Browser, worker: Process, mailbox: Mailbox, name: str) -> None:
    response = browser.register(name)

    message = mailbox.wait_for(f"{name}@example.org", "Welcome to Django SaaS")
    assert response.headers["Location"] == "/accounts/login/"
    assert "https://example.org/accounts/login/" in part(message, "plain")
    assert "https://example.org/accounts/login/" in part(message, "html")


def test_the_workers_log_shows_the_task_and_no_address(
    browser: Browser, worker: Process, mailbox: Mailbox, name: str
) -> None:
    browser.register(name)
    mailbox.wait_for(f"{name}@example.org", "Welcome to Django SaaS")

    wait_until(lambda: "core.tasks - send_welcome_email[" in worker.output(), "the task's line in the log")
    ours = [line for line in worker.output().splitlines() if " core.tasks - " in line]
    assert ours
    assert not any(name in line for line in ours)


def test_a_reset_link_sets_a_new_password_and_lies_nowhere(
    browser: Browser, worker: Process, mailbox: Mailbox, redis_server: Redis, name: str
) -> None:
    browser.register(name)
    with cast(Any, redis_server.client()).monitor() as monitor:
        browser.post("/accounts/password_reset/", email=f"{name}@example.org")
        message = mailbox.wait_for(f"{name}@example.org", "Password Reset Request")
        redis_server.client().echo("the end")
        spoken = "".join(iter(lambda: monitor.next_command()["command"], "ECHO the end"))
    path = link(message)
    token = path.strip("/").rpartition("/")[2]
    confirm = browser.get(path).headers["Location"]
    browser.post(confirm, new_password1=NEW, new_password2=NEW)

    assert "request_password_reset" in spoken
    assert token not in spoken
    assert token not in worker.output()
    assert browser.post("/accounts/login/", username=name, password=PASSWORD).status_code == 200
    assert browser.post("/accounts/login/", username=name, password=NEW).status_code == 302


def test_two_registrations_of_one_address_at_once_make_one_account(
    port: int, worker: Process, postgres: Postgres, name: str
) -> None:
    form = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
    browsers = [Browser(port) for _ in range(4)]
    tokens = [browser.token("/accounts/register/") for browser in browsers]

    def send(browser: Browser, token: str) -> int:
        return browser.request("POST", "/accounts/register/", csrfmiddlewaretoken=token, **form).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(send, browsers, tokens))

    assert statuses == [200, 200, 200, 302]
    with postgres.connect() as connection:
        count = connection.execute("SELECT count(*) FROM accounts_user WHERE username = %s", [name]).fetchone()
    assert count == (1,)


def test_a_cookie_that_is_no_key_is_no_session(browser: Browser) -> None:
    browser.cookies["sessionid"] = r'"abcdefgh\000ijk"'

    assert browser.get("/").headers["Location"] == "/accounts/login/?next=/"
