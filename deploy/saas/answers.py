"""Whether programs that people look at answer: one that hangs is active all the same."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Timer

from saas import manage
from saas.findings import CRITICAL, OK, Finding, Limits

SECONDS = 3
SOCKET = manage.RELEASE / "run/web.sock"
SETTINGS = Path("/etc/saas/saas.env")
FLOWER_SETTINGS = Path("/etc/saas/flower.env")
FLOWER_PORT = 5555


class SocketConnection(HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(SOCKET))


def answers(limits: Limits) -> list[Finding]:
    """Neither path asks for a password."""
    web = [ask("site", SocketConnection(host()), "/health/")] if SOCKET.exists() else []
    return [*web, *([ask("flower page", flower(), "/flower/healthcheck")] if flower_runs() else [])]


def ask(name: str, connection: HTTPConnection, path: str) -> Finding:
    begun = time.monotonic()
    try:
        with bounded(connection, 2 * SECONDS):
            connection.request("GET", path)
            status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return Finding(CRITICAL, name, f"does not answer: {error or type(error).__name__}")
    finally:
        connection.close()
    seconds = time.monotonic() - begun
    facts = {"status": status, "seconds": seconds}
    return Finding(OK if status == HTTPStatus.OK else CRITICAL, name, f"answers {status} after {seconds:.1f} s", facts)


@contextmanager
def bounded(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """A socket's time-out begins anew with whatever comes in; this ends the connection after so many seconds in all."""
    connection.connect()
    timer = Timer(seconds, shut, [connection.sock])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def host() -> str:
    """The application answers to its own names only."""
    return setting(SETTINGS, "ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".")


def flower() -> HTTPConnection:
    return HTTPConnection(setting(FLOWER_SETTINGS, "FLOWER_ADDRESS", "127.0.0.1"), FLOWER_PORT, timeout=SECONDS)


def setting(file: Path, name: str, default: str) -> str:
    found = [line.partition("=")[2] for line in file.read_text().splitlines() if line.startswith(f"{name}=")]
    return found[-1].strip("\"'") if found else default


def flower_runs() -> bool:
    return subprocess.run(["systemctl", "is-active", "--quiet", "flower"], check=False).returncode == 0
