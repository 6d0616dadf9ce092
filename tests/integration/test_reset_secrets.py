"""A mail server that fails in the middle of a reset mail, and repeats what it was sent."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.integration.conftest import Environment, manage
from tests.integration.mailbox import Mailbox, link, parsed
from tests.integration.servers import Postgres, Process, Redis, wait_until

Patch = pytest.MonkeyPatch
ADDRESS = "bo@example.org"
SETUP = f"""
from accounts.models import User
from core.tasks import request_password_reset
User.objects.create_user("bo", "{ADDRESS}", "a-Password-1")
request_password_reset.delay("{ADDRESS}")
"""


@pytest.fixture
def tokens(mailbox: Mailbox, monkeypatch: Patch) -> list[str]:
    found: list[str] = []

    async def refuse(server: SMTP, session: Session, envelope: Envelope) -> str:
        path = link(parsed(envelope))
        found.append(path.strip("/").rpartition("/")[2])
        return f"554 5.7.1 spam: https://example.org{path}"

    monkeypatch.setattr(mailbox, "handle_DATA", refuse)
    return found


def letters(environment: Environment) -> list[dict[str, Any]]:
    """This test's; the servers are other tests' too."""
    found = json.loads(manage(environment, "dead_letters", "show", "--all", "--json"))
    return [letter for letter in found if letter["args"] == [ADDRESS]]


@pytest.fixture
def everything(postgres: Postgres, redis_server: Redis, worker: Process) -> Callable[[], str]:
    """What was logged, what Redis ever wrote, and what the tables hold."""

    def read() -> str:
        with postgres.connect() as connection:
            rows = connection.execute("SELECT to_jsonb(r) FROM core_taskrecord r").fetchall()
            rows += connection.execute("SELECT to_jsonb(l) FROM core_deadletter l").fetchall()
        files = [path for path in redis_server.log.parent.rglob("*") if path.is_file()]
        return "\n".join([worker.output(), str(rows), *(path.read_text(errors="replace") for path in files)])

    return read


def test_its_link_is_in_no_letter_log_or_message_and_the_request_can_be_made_again(
    environment: Environment, everything: Callable[[], str], mailbox: Mailbox, tokens: list[str], monkeypatch: Patch
) -> None:
    manage(environment, "shell", "-v0", "-c", SETUP)
    wait_until(lambda: letters(environment), "a dead letter", 40)
    (letter,) = letters(environment)

    assert letter["task"] == "core.tasks.request_password_reset"
    assert "554" in letter["exception"]
    assert len(tokens) == 1
    assert tokens[0] not in everything()

    monkeypatch.undo()
    manage(environment, "dead_letters", "requeue", letter["task_id"])
    mailbox.wait_for(ADDRESS, "Password Reset Request", 40)
    assert letters(environment) == []
