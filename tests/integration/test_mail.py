"""The mails themselves, and what becomes of them when a mail server refuses or is silent."""

import socket
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from smtplib import SMTPRecipientsRefused

import pytest
from django.test import override_settings

from core.email import send_templated_email
from core.kept import Kept
from tests.integration.conftest import Environment, manage
from tests.integration.mailbox import Mailbox, part
from tests.integration.servers import Process, wait_until

IMPORTS = "from accounts.models import User; from core.tasks import send_welcome_email"
DELAY = "send_welcome_email.delay(user_id=user.pk, login_url='/')"


@pytest.fixture
def direct(mailbox: Mailbox) -> Iterator[None]:
    """This process sends to the mailbox, through the backend of production."""
    with override_settings(
        EMAIL_BACKEND="core.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=mailbox.port,
        DEFAULT_FROM_EMAIL="Jörgs Dienst <noreply@example.org>",
    ):
        yield


@pytest.fixture
def answers(mailbox: Mailbox) -> Iterator[list[str]]:
    """What the mail server says to the recipients that come next."""
    replies: list[str] = []
    mailbox.answer = lambda address: replies.pop(0) if replies else None
    yield replies
    mailbox.answer = lambda address: None


def send(to: str, username: str = "bo") -> None:
    context = {"user": {"username": username}, "login_url": "https://example.org/accounts/login/?a=1&b=2"}
    send_templated_email("Welcome to Django SaaS", "emails/welcome_email", context, to)


@pytest.mark.usefixtures("direct")
def test_it_has_proper_headers_and_two_parts(mailbox: Mailbox) -> None:
    send("headers@example.org")

    (message,) = mailbox.to("headers@example.org")
    assert message["From"] == "Jörgs Dienst <noreply@example.org>"
    assert message["Message-ID"].endswith("@example.org>")
    assert parsedate_to_datetime(message["Date"])
    assert message["Auto-Submitted"] == "auto-generated"
    assert "https://example.org/accounts/login/?a=1&b=2" in part(message, "plain")
    assert "https://example.org/accounts/login/?a=1&amp;b=2" in part(message, "html")


@pytest.mark.usefixtures("direct")
def test_names_of_every_script_are_readable_in_both_parts(mailbox: Mailbox) -> None:
    send("script@example.org", "Ђорђе李")

    (message,) = mailbox.to("script@example.org")
    assert all("Hello Ђорђе李," in part(message, kind) for kind in ("plain", "html"))


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("address", ["jörg@xn--exmple-cua.org", "bo@xn--exmple-cua.org"])
def test_addresses_of_every_script_are_reached(mailbox: Mailbox, address: str) -> None:
    send(address.replace("xn--exmple-cua", "exämple"))

    (message,) = mailbox.to(address)
    assert message["To"] == address
    assert "https://example.org/accounts/login/" in part(message, "plain")


@pytest.mark.usefixtures("direct")
def test_a_username_cannot_add_markup(mailbox: Mailbox) -> None:
    send("markup@example.org", "<b>bo</b>")

    (message,) = mailbox.to("markup@example.org")
    assert "<b>bo</b>" in part(message, "plain")
    assert "&lt;b&gt;bo&lt;/b&gt;" in part(message, "html")


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("address", ["bo@example.org", "jörg@example.org"])
def test_an_address_cannot_add_a_header(mailbox: Mailbox, address: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|could be parsed"):
        send(f"{address}\r\nBcc: al@example.org")

    assert not mailbox.to("al@example.org")


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("pipelining", [True, False])
def test_it_arrives_whether_commands_may_come_together_or_not(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, pipelining: bool
) -> None:
    monkeypatch.setattr(mailbox, "pipelining", pipelining)
    # A connection that is kept knows what the server offered before.
    monkeypatch.setattr("core.smtp.kept", Kept())
    send(f"pipelining-{pipelining}@example.org")

    assert len(mailbox.to(f"pipelining-{pipelining}@example.org")) == 1


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("reply", ["451 4.7.1 later", "550 5.1.1 no such user"])
def test_after_a_refusal_the_next_mail_arrives(mailbox: Mailbox, answers: list[str], reply: str) -> None:
    answers.append(reply)
    with pytest.raises(SMTPRecipientsRefused, match=reply[:3]):
        send(f"refused-{reply[:3]}@example.org")

    send(f"next-{reply[:3]}@example.org")
    assert not mailbox.to(f"refused-{reply[:3]}@example.org")
    assert len(mailbox.to(f"next-{reply[:3]}@example.org")) == 1


@pytest.mark.usefixtures("direct")
def test_the_next_mail_goes_over_the_same_connection(mailbox: Mailbox) -> None:
    send("first@kept.example")
    send("second@kept.example")

    assert len(set(mailbox.peers[-2:])) == 1


@pytest.mark.usefixtures("direct")
def test_a_server_that_was_restarted_in_between_gets_it_over_another(mailbox: Mailbox) -> None:
    send("unhurried@restarted.example")
    mailbox.stop()
    mailbox.start()

    send("next@restarted.example")
    assert len(mailbox.to("next@restarted.example")) == 1


@pytest.mark.usefixtures("direct")
def test_a_server_that_takes_only_so_many_over_one_gets_each(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "most", 2)
    addresses = [f"{number}@many.example" for number in range(7)]

    for address in addresses:
        send(address)
    assert [len(mailbox.to(address)) for address in addresses] == [1] * 7


def queue(environment: Environment) -> str:
    """Queue the welcome mail of a new account, and return its address."""
    name = f"bo{uuid.uuid4().hex[:8]}"
    code = f"{IMPORTS}; user = User.objects.create_user('{name}', '{name}@example.org'); {DELAY}"
    manage(environment, "shell", "--no-imports", "-c", code)
    return f"{name}@example.org"


def test_it_is_tried_again_after_a_temporary_refusal(
    environment: Environment, worker: Process, mailbox: Mailbox, answers: list[str]
) -> None:
    answers += ["451 4.7.1 later", "452 4.2.2 full"]
    address = queue(environment)

    mailbox.wait_for(address, "Welcome to Django SaaS")
    assert mailbox.asked.count(address) == 3
    assert len(mailbox.to(address)) == 1


def test_it_is_given_up_after_the_last_retry(
    environment: Environment, worker: Process, mailbox: Mailbox, answers: list[str]
) -> None:
    answers += ["451 4.7.1 later"] * 4
    address = queue(environment)

    wait_until(lambda: mailbox.asked.count(address) == 4, "three retries", seconds=90)
    wait_until(lambda: "SMTPRecipientsRefused" in worker.output().rpartition("ERROR")[2], "the failure in the log")
    assert not mailbox.to(address)


def test_it_is_not_tried_again_after_a_final_refusal(
    environment: Environment, worker: Process, mailbox: Mailbox, answers: list[str]
) -> None:
    answers += ["550 5.1.1 no such user"]
    failures = worker.output().count("raised unexpected")
    address = queue(environment)

    wait_until(lambda: worker.output().count("raised unexpected") > failures, "the failure in the log")
    assert mailbox.asked.count(address) == 1


def test_a_silent_mail_server_is_left_after_the_time_out_and_asked_again(
    environment: Environment, worker: Process, mailbox: Mailbox
) -> None:
    """The server accepts the connection and says nothing."""
    mailbox.stop()
    with socket.create_server(("127.0.0.1", mailbox.port)):
        address = queue(environment)
        wait_until(lambda: "timed out" in worker.output(), "the time-out in the log")
    mailbox.start()

    mailbox.wait_for(address, "Welcome to Django SaaS")
    assert len(mailbox.to(address)) == 1
