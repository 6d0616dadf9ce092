"""What the figures were taken on."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from tests.bench.mails import SECONDS
from tests.bench.processes import BIN
from tests.integration.servers import program

PACKAGES = ("django", "celery", "redis", "psycopg", "gunicorn", "flower", "dramatiq", "huey", "rq")


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def told(begun: datetime, loads: list[str], rounds: int) -> str:
    minutes = (datetime.now(UTC) - begun).total_seconds() / 60
    return "\n".join(
        [
            f"- {begun:%-d %B %Y}, rounds: {rounds}, of mails for {SECONDS:g} s; it took {minutes:.0f} min",
            f"- load at the begin and after each contest: {', '.join(loads)}",
            f"- {os.cpu_count()} cores of {processor()}, {memory():.0f} GB, {system()}",
            f"- Python {platform.python_version()}, {server('redis-server', 'redis-server')}, "
            f"{server('postgres', 'postgresql')}",
            f"- {', '.join(versions())}",
        ]
    )


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def system() -> str:
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def server(name: str, package: str) -> str:
    said = subprocess.run([program(name, package), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.[\d.]+", said)
    return f"{'Redis' if 'redis' in name else 'PostgreSQL'} {found[0] if found else ''}"


def versions() -> list[str]:
    paths = [str(path) for path in BIN.parent.glob("lib/*/site-packages")]
    known = {found.name.lower(): found.version for found in distributions(path=paths)}
    return [f"{name} {known[name]}" for name in PACKAGES]
