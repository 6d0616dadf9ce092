"""One run of the writers: a strategy, so many processes, and whatever rotates meanwhile."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sentry import Sentry
from tests.integration.servers import APP, ROOT, program, tied
from tests.log_strategies.records import LONG, Tally, lines, tally

# Written to standard output as well as, or instead of, files.
CONSOLE = ("console", "pid", "queue", "sentry")
# What a pipe takes at once is 4096 bytes; longer lines are mixed with others'.
SHORT = 3900
LOGROTATE = {"file": "saas", "file, nocreate": "saas-nocreate"}


@dataclass(frozen=True)
class Outcome:
    tallies: dict[str, Tally]
    files: int
    seconds: float
    cpu: float


@dataclass(frozen=True)
class Load:
    variant: str
    writers: int
    records: int
    # Of a file, where the strategy itself rotates; and of the long lines.
    size: int = 50_000
    long: int = LONG

    @property
    def strategy(self) -> str:
        return self.variant.partition(",")[0]

    @property
    def lines(self) -> int:
        return self.writers * self.records


def run(load: Load, folder: Path, pause: float = 0.05) -> Outcome:
    """`folder` is empty, `pause` the seconds between two runs of logrotate."""
    logs, console = folder / "logs", folder / "console"
    with syslog(folder / "socket") as heard, sentry() as told, console.open("wb") as collected:
        process = subprocess.Popen(command(load, folder, told), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=APP)
        # A pipe, since that is what collects the output of containers and services.
        pump = threading.Thread(target=copy, args=[process.stdout, collected])
        pump.start()
        if load.variant in LOGROTATE:
            rotate(process, folder, LOGROTATE[load.variant], pause)
        error = process.stderr.read().decode() if process.stderr else ""
        process.wait()
        pump.join()
    taken = json.loads(error)
    assert set(taken["codes"]) == {0}, error
    tallies = {
        name: tally(found, load.writers, load.records, load.long) for name, found in collect(load, logs, console)
    }
    if load.strategy == "syslog":
        tallies = {"syslog": tally(heard, load.writers, load.records, load.long)}
    if load.strategy == "sentry":
        tallies |= {"sentry": tally(lines_of(told), load.writers, load.records, load.long)}
    return Outcome(tallies, len(list(logs.glob("*.log*"))), taken["seconds"], taken["cpu"])


def command(load: Load, folder: Path, told: Sentry) -> list[str]:
    numbers = {"writers": load.writers, "records": load.records, "size": load.size, "long": load.long}
    options = [f"--{name}={value}" for name, value in numbers.items()]
    path = f"PYTHONPATH={APP}:{ROOT}"
    module = [sys.executable, "-m", "tests.log_strategies.writer", load.strategy, str(folder / "logs")]
    options += [f"--syslog={folder / 'socket'}", *([f"--sentry={told.dsn}"] if load.strategy == "sentry" else [])]
    return [*tied(), "env", path, "PYTHONUNBUFFERED=1", *module, *options]


def collect(load: Load, logs: Path, console: Path) -> Iterator[tuple[str, list[str]]]:
    if load.strategy in CONSOLE:
        yield "console", console.read_text(errors="replace").splitlines()
    if load.strategy not in ("console", "syslog", "sentry"):
        yield "files", lines(logs, "*.log*")


def copy(source: object, target: object) -> None:
    while data := os.read(source.fileno(), 65_536):  # type: ignore[attr-defined]
        target.write(data)  # type: ignore[attr-defined]


def rotate(process: subprocess.Popen[bytes], folder: Path, name: str, pause: float) -> None:
    """Force rotation, time and again, until the writers end."""
    rotating = logrotate(folder, name)
    while process.poll() is None:
        subprocess.run(rotating, check=True, capture_output=True)
        time.sleep(pause)


def logrotate(folder: Path, name: str) -> list[str]:
    """The installed file, for another folder and its owner, with all files kept and none compressed.

    A writer that is suspended between looking for the file and writing must be back before that file is compressed. In
    service it has an hour; here, rotations follow each other faster than a busy machine may resume it.
    """
    text = (ROOT / "deploy/logrotate" / name).read_text()
    for old, new in {
        "/var/log/saas/": f"{folder}/logs/",
        "    su saas saas\n": "",
        "rotate 10\n": "rotate 300\n",
        "    compress\n    delaycompress\n": "",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "logrotate.conf").write_text(text)
    (folder / "logrotate.conf").chmod(0o644)
    state = f"--state={folder / 'logrotate.state'}"
    return [program("logrotate", "logrotate", "/usr/sbin"), "--force", state, str(folder / "logrotate.conf")]


@contextmanager
def sentry() -> Iterator[Sentry]:
    server = Sentry()
    yield server
    server.stop()


def lines_of(told: Sentry) -> list[str]:
    return [f"[ERROR] 2000-01-01 00:00:00 core - {event['logentry']['formatted']}" for event in told.events]


@contextmanager
def syslog(path: Path) -> Iterator[list[str]]:
    """What a syslog daemon would get at its socket; complete when the context has ended."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        listener = threading.Thread(target=listen, args=[receiver, heard])
        listener.start()
        yield heard
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", str(path))
        listener.join()


def listen(receiver: socket.socket, heard: list[str]) -> None:
    # local0 is 16, INFO is 6.
    prefix = f"<{16 * 8 + 6}>writer.py: "
    while (datagram := receiver.recv(65_536)) != b"end":
        heard.append(datagram.decode().removeprefix(prefix))
