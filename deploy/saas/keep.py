"""Keeps other deploys away from this host while one is under way, and remembers what that one is about."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from saas import running
from saas.host import output
from saas.links import UnfitError

# Runs as long as the connection of who deploys, and settles when it ends.
HOLD = "saas-deploy.service"
# Outlives a reboot, so that saas-settle.service ends what that one cut off.
RECORD = Path("/srv/saas/deploy.json")


@dataclass
class Record:
    """`previous` is where the link of that name led before, `since` in seconds since 1970, `connection` a process.

    `left_out` are workers' doubles that keep another release, since what they stand in for has not finished. With
    `stays` the end of the hold leaves the new release in service; without it the old one comes back.
    """

    kind: str
    by: str
    old: str
    new: str
    previous: str
    since: float
    connection: int
    left_out: list[str] = field(default_factory=list)
    stays: bool = False


def read() -> Record | None:
    try:
        return Record(**json.loads(RECORD.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        # One that was cut off in writing says nothing; nothing was done before it was written.
        return None


def write(record: Record) -> None:
    fresh = RECORD.with_suffix(".fresh")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(asdict(record), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(RECORD)


def forget() -> None:
    RECORD.unlink(missing_ok=True)


def held(release: str) -> Record:
    """What is done after the end of a hold would be settled by nobody.

    Ansible connects anew, without a word, where a connection was cut, and with it the hold.
    """
    record = read()
    if state() != "active" or record is None or (record.new, record.connection) != (release, connection()):
        raise UnfitError(f"{HOLD} has ended meanwhile, and with it this deploy: run it again")
    return record


def begin(kind: str, release: str, by: str) -> None:
    argv = ["systemd-run", "--quiet", "--collect", f"--unit={HOLD}", f"--description={kind} of {release} by {by}"]
    # Root's, without a sandbox, as what settles has to be: Debian 12 takes no + before the command of a transient unit.
    argv += ["--property=ExecStopPost=/usr/local/bin/saas release settle", "--property=TimeoutStopSec=300"]
    # What settles is one Python, and systemctl.
    argv += ["--property=MemoryMax=25%", "--property=TasksMax=64"]
    done = subprocess.run([*argv, "tail", f"--pid={connection()}", "--follow", "/dev/null"], check=False)
    if done.returncode:
        refuse_a_second_one(kind)
        raise UnfitError(f"{HOLD} could not be started")


def end() -> None:
    running.systemctl("stop", [HOLD])


def refuse_a_second_one(kind: str) -> None:
    with suppress(UnfitError):
        # One that was cut off is being settled.
        wait(lambda: state() != "deactivating", 60, "")
    if state() in ("active", "activating", "deactivating"):
        fields = output("systemctl", "show", "--property=Description,ActiveEnterTimestamp", HOLD).splitlines()
        shown = dict(line.split("=", 1) for line in fields)
        raise UnfitError(
            f"no {kind} now: {shown['Description']} is under way since {shown['ActiveEnterTimestamp']}."
            f" It holds this host as long as its connection lasts; `systemctl stop {HOLD}` ends it."
        )


def state() -> str:
    return output("systemctl", "show", "--property=ActiveState", "--value", HOLD).strip()


def connection() -> int:
    """The nearest sshd above this process, which ends with the connection; without one, the topmost process."""
    process, above = os.getpid(), os.getppid()
    while above > 1:
        process = above
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        if name.startswith("sshd"):
            break
        above = int(rest[1])
    return process


def wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    end_of_patience = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end_of_patience:
            raise UnfitError(f"{otherwise} (waited {seconds:.0f} s)")
        time.sleep(0.1)
