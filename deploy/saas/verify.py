"""Whether a release is there, asked as visitors, systemd and tasks would."""

import json
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from saas import answers, manage, running
from saas.host import Unit
from saas.keep import wait
from saas.links import UnfitError

# One that asks the database, and one that a visitor sees.
PAGES = ("/health/", "/accounts/login/")
SECONDS = 20
# Seconds that a unit has to live to be taken for well.
STEADY = 3


class SocketConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__(answers.host(), timeout=SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


def by_socket(release: str) -> None:
    for page in PAGES:
        try:
            ask(SocketConnection(f"/run/gunicorn-{release}/web.sock"), page, release)
        except UnfitError as error:
            raise UnfitError(f"{error}. {running.words(f'gunicorn@{release}.service')}") from error


def by_nginx(release: str) -> None:
    """From this host, where the certificate is for another name."""
    for page in PAGES:
        context = ssl._create_unverified_context()  # noqa: S323 - by address
        try:
            ask(HTTPSConnection("127.0.0.1", timeout=SECONDS, context=context), page, release)
        except UnfitError as error:
            raise UnfitError(f"{error}. `saas logs --since 5m` has the rest") from error


def ask(connection: HTTPConnection, page: str, release: str) -> None:
    try:
        with answers.bounded(connection, 2 * SECONDS):
            connection.request("GET", page, headers={"Host": answers.host(), "X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
        status, named = answer.status, answer.headers.get("X-Release", "none")
    except (OSError, HTTPException) as error:
        raise UnfitError(f"{page} is not answered: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise UnfitError(f"{page} is answered with {status}")
    if named != release:
        raise UnfitError(f"{page} is answered by release {named}")


def steady(names: list[str], release: str) -> None:
    """None has died since it was started."""
    for name, unit in running.show(*names).items():
        found = running.release_of(unit)
        if unit["ActiveState"] != "active" or int(unit["NRestarts"] or 0) or found != release:
            state = f"{unit['ActiveState']}, started again {unit['NRestarts']} times, release {found or 'none'}"
            raise UnfitError(f"{name} does not stay up ({state}). {running.words(name)}")


def lasting(names: list[str], release: str) -> None:
    """Each has been up for a while, since it was last started, and with that release."""
    with suppress(UnfitError):
        wait(lambda: all(lasts(unit, release) for unit in running.show(*names).values()), SECONDS, "")
    steady(names, release)


def lasts(unit: Unit, release: str) -> bool:
    up = time.monotonic() - int(unit["ActiveEnterTimestampMonotonic"] or 0) / 1_000_000
    return unit["ActiveState"] == "active" and up >= STEADY and running.release_of(unit) == release


def through_queues(releases: set[str]) -> None:
    """One task through each queue, answered by one of them."""
    argv = manage.command(["probe"], "--pipe")
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    if done.returncode:
        told = done.stderr.strip()[-500:]
        raise UnfitError(f"a task is not answered: {told}. `saas logs worker --since 5m` has the rest")
    wrong = {queue: found for queue, found in json.loads(done.stdout).items() if found not in releases}
    if wrong:
        raise UnfitError(f"tasks are answered by another release: {wrong}")
