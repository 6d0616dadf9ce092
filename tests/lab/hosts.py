"""A machine of the lab as a person on it sees it: what a command prints, and how it ends."""

import time
from dataclasses import dataclass

from lab.labs import Lab
from lab.podman import PODMAN
from lab.shell import attempt, root

# Only what fails takes so long; a busy machine may take long for anything.
SECONDS = 240


@dataclass(frozen=True)
class Ended:
    code: int
    text: str


def shell(lab: Lab, command: str, host: str = "saas", user: str = "root", seconds: float = SECONDS) -> Ended:
    argv = [
        *PODMAN,
        "exec",
        "--interactive",
        "--user",
        user,
        lab.container(host),
        "bash",
        "-c",
        f"{{ {command}\n}} 2>&1",
    ]
    done = attempt(root(*argv), timeout=seconds)
    return Ended(done.returncode, done.stdout)


def do(lab: Lab, command: str, host: str = "saas") -> str:
    ended = shell(lab, command, host)
    assert ended.code == 0, f"{command}\n{ended.text}"
    return ended.text


def started(lab: Lab) -> dict[str, str]:
    """Of each machine, when each service that runs was started."""
    running = "systemctl list-units --type service --plain --no-legend --state running | cut -d ' ' -f 1"
    show = f"systemctl show --property Id,ExecMainStartTimestampMonotonic $({running})"
    return {host: do(lab, show, host) for host in lab.machines}


def wait_until_shown(lab: Lab, command: str, text: str, seconds: float = SECONDS, host: str = "saas") -> Ended:
    """Repeat the command until it prints the text."""
    end = time.monotonic() + seconds
    while True:
        ended = shell(lab, command, host)
        if text in ended.text:
            return ended
        assert time.monotonic() < end, f"Not within {seconds} s, {text!r}:\n{command}\n{ended.text}"
        time.sleep(1)
