"""What ends a deploy on this host, however it went: everything belongs to /srv/saas/current afterwards."""

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from saas import keep, links, running
from saas.keep import Record
from saas.links import UnfitError

# Seconds between the last connection to the old socket and its end, and for what has no task to end.
SETTLED, PATIENCE = 1, 20


def settle() -> None:
    """Each part is tried, whatever became of those before. Where one failed the record stays, to be settled again."""
    record = keep.read()
    parts = [web, workers, tidy]
    faults = [fault for part in [lambda: conclude(record), *parts] if (fault := attempt(part))]
    if record:
        note(record, faults)
    if faults:
        raise UnfitError("; ".join(faults))
    keep.forget()


def attempt(part: Callable[[], None]) -> str:
    try:
        part()
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd)}: {(error.stderr or '').strip()}"
    except (UnfitError, OSError, ValueError, subprocess.SubprocessError) as error:
        return str(error)
    return ""


def conclude(record: Record | None) -> None:
    """All hosts stay with the new release, or none: one that cannot be told that another failed goes back by itself."""
    if record is None or links.target("current") != record.new:
        return
    if not record.stays:
        links.lead("current", record.old)
        links.restore("previous", record.previous)
    elif record.kind == "deploy":
        links.finish(record.new, record.old)


def web() -> None:
    current = links.target("current")
    running.systemctl("start", running.web(current), "--no-block")
    if old := running.other_webs(current):
        # What nginx connected to the old socket just before the switch is taken up before it closes.
        time.sleep(SETTLED)
        running.systemctl("disable", (name for name in old if name.endswith(".service")))
        running.systemctl("stop", old, "--no-block")


@dataclass(frozen=True)
class Worker:
    """Releases are what the processes were started with; nothing where there is none."""

    state: str
    release: str
    double: str


def workers() -> None:
    current = links.target("current")
    names = running.workers()
    known = running.show(*names, *map(running.beside, names))
    releases = {name: running.release_of(unit) for name, unit in known.items()}
    found = {name: Worker(known[name]["ActiveState"], releases[name], releases[running.beside(name)]) for name in names}
    single = {name: running.release_of(unit) for name, unit in running.show(*running.single()).items()}
    # What doubles that start from now on run.
    links.lead("next", current)
    for verb, units in orders(current, found, single).items():
        running.systemctl(verb, units, "--no-block")


def orders(current: str, found: dict[str, Worker], single: dict[str, str]) -> dict[str, list[str]]:
    """To systemd. A worker that starts with the current release ends its double as soon as it is ready."""
    told: dict[str, list[str]] = defaultdict(list)
    for name, release in [*single.items(), *((name, worker.release) for name, worker in found.items())]:
        # One that was told to stop, by a deploy that then failed, is wanted after all.
        told["start" if release == current else "restart"].append(name)
    for name, worker in found.items():
        if worker.state == "active" and worker.release == current:
            verb = "stop"
        elif worker.state in ("active", "deactivating"):
            # Until it has finished, the double alone fetches.
            verb = "restart" if worker.double != current else ""
        else:
            verb = "stop" if worker.double not in ("", current) else ""
        if verb:
            told[verb].append(running.beside(name))
    return dict(told)


def tidy() -> None:
    """Remove releases that nobody goes back to. One that still has a task to finish goes with the next deploy."""
    with suppress(UnfitError):
        keep.wait(lambda: not links.spare() & running.releases(), PATIENCE, "")
    links.prune(running.releases())


def note(record: Record, faults: list[str]) -> None:
    """One entry: `journalctl -t saas-deploy _UID=0`."""
    current, seconds = links.target("current"), round(time.time() - record.since, 1)
    done = current == record.new
    outcome = f"{current} took the place of {record.old}" if done else f"not done, {current} goes on"
    if record.kind == "rotation":
        done, outcome = True, "it has ended"
    message = f"{record.kind} of {record.new} by {record.by}: {outcome}, after {seconds} s"
    if faults:
        message += f". Not settled: {' '.join('; '.join(faults).split())}"
    fields = {
        "MESSAGE": message,
        "PRIORITY": "3" if faults else "5" if done else "4",
        "SYSLOG_IDENTIFIER": "saas-deploy",
        "DEPLOY_KIND": record.kind,
        "DEPLOY_BY": record.by,
        "DEPLOY_FROM": record.old,
        "DEPLOY_TO": record.new,
        "DEPLOY_SECONDS": str(seconds),
        "DEPLOY_ENDED": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    entry = "\n".join(f"{name}={value}" for name, value in fields.items()) + "\n"
    subprocess.run(["logger", "--journald"], input=entry, text=True, check=True)
