"""The proof that a deployed lab works, on real input and from outside."""

import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import requests
import yaml

from lab import console, machine, mail
from lab.browser import Browser, Forms
from lab.labs import FIRST_MACHINE, Lab
from lab.shell import LabError, run

MAIL_SECONDS = 60
T = TypeVar("T")
# Gunicorn's of the answer, nginx's of the whole request.
ACCESS_LINES = ("gunicorn.access - POST /accounts/register/ 302 in ", "/accounts/register/ HTTP/1.1 302 ")
SENT = "is sent to the queue email"
TASK_STEPS = ("registers", SENT, "begins, attempt 1", "The mail server answered 250 ", "done")
UNITS = (
    "nginx.service",
    "postgresql@*-main.service",
    "redis-server.service",
    "gunicorn@*.service",
    "celery-worker@email.service",
    "celery-worker@celery.service",
    "celery-beat.service",
    "flower.service",
    "nginx-journal.service",
    "saas.target",
)


class UnprovedError(LabError):
    """A check did not hold."""


def expect(condition: object, sentence: str) -> None:
    if not condition:
        raise UnprovedError(sentence)


@dataclass
class Visit:
    """A stranger's visit to the site, with the means to look behind it."""

    lab: Lab
    address: str
    browser: Browser
    username: str = field(default_factory=lambda: f"visitor-{secrets.token_hex(4)}")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15))
    request: str = ""

    @property
    def email(self) -> str:
        return f"{self.username}@example.org"

    def ssh(self, command: str) -> str:
        return run(machine.ssh(self.lab, self.address, command), timeout=60)


def visit(lab: Lab) -> Visit:
    """Trusts the machine's own certificate and no other."""
    address = lab.address(FIRST_MACHINE)
    certificate = lab.directory / "site.crt"
    text = run(machine.ssh(lab, address, "sudo cat /etc/nginx/tls/current/fullchain.pem"))
    certificate.write_text(text, encoding="utf-8")
    return Visit(lab, address, Browser(f"https://{address}/", certificate))


def prove(lab: Lab) -> None:
    guest = visit(lab)
    for check in CHECKS:
        try:
            console.ok(check(guest))
        except (requests.RequestException, LookupError) as error:
            raise UnprovedError(f"{check.__name__.replace('_', ' ').capitalize()}: {error}") from error


def http_leads_to_https(guest: Visit) -> str:
    answer = guest.browser.session.get(f"http://{guest.address}/", timeout=30, allow_redirects=False)
    location = answer.headers.get("Location", "")
    expect(
        answer.is_redirect and location.startswith(guest.browser.site), f"http answers {answer.status_code} {location}"
    )
    return f"http:// leads to {location}"


def it_is_healthy(guest: Visit) -> str:
    answer = guest.browser.get("/health/")
    expect(answer.ok and answer.json() == {"status": "ok"}, refusal(answer))
    return f"/health/ says {answer.text.strip()}"


def static_files_are_served(guest: Visit) -> str:
    sheets = Forms(guest.browser.get("/accounts/login/").text).stylesheets
    expect(sheets, "The login page has no stylesheet.")
    answer = guest.browser.get(sheets[0])
    expect(answer.ok and "text/css" in answer.headers["Content-Type"], f"{sheets[0]} answers {answer.status_code}")
    return f"nginx serves {sheets[0]}"


def an_account_is_registered(guest: Visit) -> str:
    answer = guest.browser.submit(
        "/accounts/register/",
        username=guest.username,
        email=guest.email,
        password1=guest.password,
        password2=guest.password,
    )
    expect(answer.ok and "Account created successfully! Please log in." in answer.text, refusal(answer))
    guest.request = answer.history[0].headers["X-Request-ID"]
    return f"registered {guest.username} over https, certificate verified"


def refusal(answer: requests.Response) -> str:
    words = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
    return (
        f"{answer.request.method} {answer.request.url} ended at {answer.url} with {answer.status_code}: {words[:400]}"
    )


def the_welcome_mail_arrives(guest: Visit) -> str:
    started = time.monotonic()
    letter = wait_for(lambda: mail.inbox(guest.lab.mail_address, guest.email), MAIL_SECONDS)
    expect(letter, f"No mail for {guest.email} after {MAIL_SECONDS} s.")
    check_letter(letter[0], guest)
    return f"the welcome mail arrived, text and HTML, {time.monotonic() - started:.1f} s after that"


def check_letter(letter: dict[str, Any], guest: Visit) -> None:
    expect(letter["subject"] == "Welcome to Django SaaS", f"The mail's subject is {letter['subject']!r}.")
    for part in ("text", "html"):
        body = letter.get(part) or ""
        expect(guest.username in body, f"The mail's {part} part does not name {guest.username}: {body[:200]!r}")
        expect(f"{guest.browser.site}accounts/login/" in body, f"The mail's {part} part lacks the login link.")


def wait_for(look: Callable[[], T], seconds: float) -> T:
    """What look returns as soon as it is true, or at the end of the time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return seen


def the_journal_tells_the_story(guest: Visit) -> str:
    command = f"journalctl REQUEST_ID={guest.request}"

    def lacking() -> list[str]:
        return untold(guest.ssh(f"sudo {command} --output cat --no-pager"))

    expect(wait_for(lambda: not lacking(), 10), f"{command} does not tell {lacking()}.")
    return f"{command} tells it all, from nginx to the mail server's answer"


def untold(story: str) -> list[str]:
    """What the journal should tell of a registration, and does not; of the task's steps, also their order."""
    lacking = [part for part in (*ACCESS_LINES, *TASK_STEPS) if part not in story]
    return lacking or ([] if in_order(story, TASK_STEPS) else ["the steps in their order"])


def in_order(story: str, steps: Iterable[str]) -> bool:
    # That it is sent is told when the broker has it, and a worker may be quicker.
    places = [story.find(step) for step in steps if step != SENT]
    return places == sorted(places)


def signing_in_shows_home(guest: Visit) -> str:
    answer = guest.browser.submit("/accounts/login/", username=guest.username, password=guest.password)
    expect(answer.ok and guest.username in answer.text, refusal(answer))
    expect(answer.url == guest.browser.site, f"Signing in ends at {answer.url}")
    return f"signed in; {answer.url} greets {guest.username}"


def flower_asks_who_is_there(guest: Visit) -> str:
    for path in ("/flower/", "/flower/api/workers", "/flower/metrics"):
        answer = guest.browser.get(path)
        expect(
            answer.status_code == HTTPStatus.UNAUTHORIZED,
            f"{path} without credentials answers {answer.status_code}, not 401",
        )
    password = yaml.safe_load(guest.lab.secrets.read_text(encoding="utf-8"))["secret_flower_password"]
    answer = guest.browser.get("/flower/", auth=("flower", password))
    expect(answer.ok and "Flower" in answer.text, refusal(answer))
    return "Flower refuses strangers and serves its user"


def every_unit_is_active(guest: Visit) -> str:
    for unit in UNITS:
        state = guest.ssh(f"systemctl list-units --all --plain --no-legend '{unit}'").split()
        expect(state[2:3] == ["active"], f"{unit} is {' '.join(state[2:4]) or 'not there'}")
    failed = guest.ssh("systemctl list-units --failed --plain --no-legend").strip()
    expect(not failed, f"Failed units: {failed}")
    return f"{len(UNITS)} units are active and none has failed"


CHECKS = (
    http_leads_to_https,
    it_is_healthy,
    static_files_are_served,
    an_account_is_registered,
    the_welcome_mail_arrives,
    the_journal_tells_the_story,
    signing_in_shows_home,
    flower_asks_who_is_there,
    every_unit_is_active,
)
