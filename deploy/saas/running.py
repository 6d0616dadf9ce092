"""The units of this host that run a release, and which one that is."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from saas.host import NEXT, Unit, output, read

SETTINGS = Path("/etc/saas")
PROPERTIES = "Id,ActiveState,MainPID,NRestarts,StatusText,ActiveEnterTimestampMonotonic,UnitFileState"
# What a command to systemd may take: a start waits until the unit is ready.
SECONDS = 330


def workers() -> list[str]:
    """Those that run for good. Each has a second one, which a deploy starts with the next release's code."""
    names = sorted(file.stem.removeprefix("worker-") for file in SETTINGS.glob("worker-*.env"))
    return [f"celery-worker@{name}.service" for name in names if not name.endswith(NEXT)]


def beside(worker: str) -> str:
    return worker.replace(".service", f"{NEXT}.service")


def single() -> list[str]:
    """Those of which there is one on one host of the site."""
    known = show("celery-beat.service", "flower.service")
    return [name for name, unit in known.items() if unit["UnitFileState"] == "enabled"]


def web(release: str) -> list[str]:
    return [f"gunicorn@{release}.service"] if (SETTINGS / "gunicorn.env").exists() else []


def other_webs(release: str) -> list[str]:
    """Sockets and services of other releases' web processes that are there."""
    found = {**show("gunicorn@*.service"), **show("gunicorn@*.socket")}
    return [name for name in found if name.partition("@")[2].rpartition(".")[0] != release]


def show(*names: str) -> dict[str, Unit]:
    if not names:
        return {}
    shown = output("systemctl", "show", "--all", f"--property={PROPERTIES}", *names)
    return read(shown) if shown.strip() else {}


def release_of(unit: Unit) -> str:
    """By its working directory, which stays what it was when the process began. Nothing for one that does not run."""
    try:
        return Path(f"/proc/{unit['MainPID']}/cwd").readlink().parent.name if unit["MainPID"] != "0" else ""
    except OSError:
        return ""


def building() -> list[str]:
    """What prepares a release or migrates the database goes on without the connection that started it."""
    known = show("saas-environment@*.service", "saas-prepare@*.service", "saas-migrate@*.service")
    return [name for name, unit in known.items() if unit["ActiveState"] == "activating"]


def releases() -> set[str]:
    """Those that a process of ours has."""
    names = [*workers(), *map(beside, workers()), *single(), "gunicorn@*.service", *building()]
    return {release_of(unit) for unit in show(*names).values()} - {""}


def systemctl(verb: str, names: Iterable[str], *options: str) -> None:
    if units := list(names):
        argv = ["systemctl", verb, *options, *units]
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=SECONDS)


def words(unit: str, lines: int = 40) -> str:
    """The end of its journal, and where the rest of that is."""
    last = output("journalctl", "--no-pager", f"--lines={lines}", "--output=cat", f"--unit={unit}").strip()
    return f"journalctl -u {unit} ends with:\n{last}"
