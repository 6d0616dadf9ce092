"""A story in the journal is found by each of its identifiers, whole and alone, whatever visitors claim."""

import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from lab import playbook, proof
from lab.labs import Lab
from tests.lab import faults
from tests.lab.hosts import do, wait_until_shown
from tests.lab.site import ask, entries, get, sh

WELCOME, RESET = "core.tasks.send_welcome_email", "core.tasks.request_password_reset"
STEPS = proof.TASK_STEPS
RETRIED = (
    *STEPS[:3],
    "The mail server answered 451 4.7.1 come back later",
    "failed: SMTPRecipientsRefused: again in 1 s",
    "begins, attempt 2",
    "The mail server answered 250 2.0.0 kept",
    "] done",
)
CLAIMS = [
    ("X-Request-ID", "{other}"),
    ("X-Request-ID", "{other}, {other}"),
    ("X-Request-ID", "{other} PRIORITY=0"),
    ("X-Request-ID", "{other}%0aREQUEST_ID={other}"),
    ("X-Request-ID", "x" * 4000),
    ("X_Request_ID", "{other}"),
]
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def stories(lab: Lab, first_run: playbook.Progress) -> list[list[Entry]]:
    """All that the journal has of two registrations, of which one asked for a new password too."""
    guests = [proof.visit(lab) for _ in range(2)]
    for guest in guests:
        proof.an_account_is_registered(guest)
        proof.the_journal_tells_the_story(guest)
    guests[0].browser.submit("/accounts/password_reset/", email=guests[0].email)
    wait_until_shown(lab, f"saas logs worker --grep '{done(RESET)}'", "celery[")
    return [entries(lab, f"REQUEST_ID={guest.request}") for guest in guests]


def done(task: str) -> str:
    """The pattern of the line that ends a run of it."""
    return rf"{task.rpartition('.')[2]}\[.*done"


def places(found: list[Entry]) -> set[str]:
    return {entry["__CURSOR"] for entry in found}


def only(story: list[Entry], field: str) -> str:
    (value,) = {entry[field] for entry in story if field in entry}
    return str(value)


def told(found: list[Entry]) -> list[str]:
    text = "\n".join(entry["MESSAGE"] for entry in found)
    return [step for step in STEPS if step in text]


@pytest.mark.parametrize(
    ("field", "steps"), [("REQUEST_ID", STEPS), ("TASK_ID", STEPS[1:]), ("USER_ID", (STEPS[0], *STEPS[2:]))]
)
def test_an_identifier_finds_its_story_and_no_other(
    lab: Lab, stories: list[list[Entry]], field: str, steps: tuple[str, ...]
) -> None:
    mine, other = stories

    found = entries(lab, f"{field}={only(mine, field)}")

    assert told(found) == list(steps)
    assert not places(found) & places(other)


def test_all_that_names_a_task_has_its_identifier(lab: Lab, stories: list[list[Entry]]) -> None:
    task = only(stories[0], "TASK_ID")

    named = entries(lab, f"_SYSTEMD_SLICE=saas.slice --grep '{task}'")

    assert named
    assert places(named) <= places(entries(lab, f"TASK_ID={task}"))


@pytest.mark.parametrize(("name", "other"), [(WELCOME, RESET), (RESET, WELCOME)])
def test_a_tasks_name_finds_every_run_of_it_and_of_no_other(
    lab: Lab, stories: list[list[Entry]], name: str, other: str
) -> None:
    found = entries(lab, f"TASK_NAME={name}")

    named = entries(lab, f"-u celery-worker@* --grep '{done(name)}'")
    assert named
    assert places(named) <= places(found)
    assert not places(found) & places(entries(lab, f"TASK_NAME={other}"))


@pytest.mark.parametrize(("header", "claim"), CLAIMS)
def test_a_visitor_does_not_write_into_anothers_story(
    lab: Lab, stories: list[list[Entry]], header: str, claim: str
) -> None:
    other, path = only(stories[0], "REQUEST_ID"), f"/{secrets.token_hex(8)}"

    answer = ask(lab, path, **{header: claim.format(other=other)})

    named = [entry for entry in entries(lab, f"--since -5min --grep '{path}'") if "REQUEST_ID" in entry]
    assert named
    assert {entry["REQUEST_ID"] for entry in named} == {answer.headers["X-Request-ID"]}
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert answer.headers["X-Request-ID"] != other


def test_a_header_of_several_lines_is_refused(lab: Lab, stories: list[list[Entry]]) -> None:
    query = f"REQUEST_ID={only(stories[0], 'REQUEST_ID')}"
    before = entries(lab, query)

    answer = ask(lab, "/", **{"X-Request-ID": f"a\r\n {query}"})

    assert answer.status == 400
    assert entries(lab, query) == before


def test_the_story_goes_on_after_a_restart_of_journald(lab: Lab, first_run: playbook.Progress) -> None:
    sh(lab, "systemctl restart systemd-journald")

    guest = proof.visit(lab)
    proof.an_account_is_registered(guest)
    proof.the_journal_tells_the_story(guest)


@pytest.fixture
def impatient_worker(lab: Lab, first_run: playbook.Progress) -> Iterator[None]:
    """It tries a mail again after a second, where a minute is usual."""
    settings, restart = "/etc/saas/saas.env", "systemctl restart celery-worker@email"
    with faults.kept(lab, settings):
        do(lab, f"echo CELERY_TASK_DEFAULT_RETRY_DELAY=1 >>{settings}; {restart}")
        yield
    do(lab, restart)


def test_a_mail_that_is_tried_again_is_one_story(lab: Lab, impatient_worker: None) -> None:
    guest = proof.visit(lab)
    with faults.mail_server(lab, "451 4.7.1 come back later", "250 2.1.5 welcome"):
        proof.an_account_is_registered(guest)
        story = wait_until_shown(lab, f"saas logs --request {guest.request}", "] done").text

    assert [step for step in RETRIED if step not in story] == []
    assert proof.in_order(story, RETRIED)


def test_nginxs_error_leads_to_the_request(lab: Lab, first_run: playbook.Progress) -> None:
    release = sh(lab, "basename $(readlink /srv/saas/current)").strip()
    sh(lab, f"systemctl stop gunicorn@{release}.socket gunicorn@{release}.service")
    try:
        answer = get(lab, f"/{secrets.token_hex(8)}")
    finally:
        sh(lab, f"systemctl start gunicorn@{release}.socket gunicorn@{release}.service")
    (access,) = entries(lab, f"SYSLOG_IDENTIFIER=nginx REQUEST_ID={answer.headers['X-Request-ID']}")

    (error,) = entries(lab, f"-u nginx -p err --grep ' \\*{access['NGINX_CONNECTION']} '")

    assert access["HTTP_STATUS"] == "502"
    assert answer.request.path_url in error["MESSAGE"]
