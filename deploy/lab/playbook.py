"""ansible-playbook with its output in a log and its progress on the terminal."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import console, paths
from lab.labs import Lab
from lab.shell import LabError, stream

TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?:(?P<role>[^\]:]+) : )?(?P<name>.*)\] \*+$")
PLAY = re.compile(r"^PLAY \[(?P<name>.*)\] \*+$")
RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=\d+ .*)$")
SLOW = 5
ENVIRONMENT = {
    # Ansible ignores the configuration of a folder that others may write to, unless it is named.
    "ANSIBLE_CONFIG": str(paths.ANSIBLE / "ansible.cfg"),
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
    "LC_ALL": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
}


@dataclass
class Progress:
    """Turns ansible-playbook's lines into a line per role and per slow task."""

    live: console.Live
    role: str = ""
    task: str = ""
    since: float = field(default_factory=time.monotonic)
    changed: list[str] = field(default_factory=list)
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    def read(self, line: str) -> None:
        if match := TASK.match(line):
            self.next_task(match["role"] or "", match["name"])
        elif line.startswith("changed: "):
            self.changed.append(": ".join(filter(None, (self.role, self.task))))
        elif match := RECAP.match(line):
            self.recap[match["host"]] = counts(match["counts"])

    def next_task(self, role: str, name: str) -> None:
        self.finish_task()
        if role and role != self.role:
            console.say(role)
        self.role, self.task = role or self.role, name
        self.live.show(f"  {name}")

    def finish_task(self) -> None:
        spent = time.monotonic() - self.since
        if self.task and spent >= SLOW:
            console.say(f"  {self.task}: {console.duration(spent)}")
        self.since = time.monotonic()


def counts(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (pair.split("=") for pair in text.split())}


def run(lab: Lab, playbook: str, log: Path, *options: str, **variables: Any) -> Progress:
    """Run the playbook against the lab with ansible-playbook's options; LabError with the part that failed."""
    log.write_text("", encoding="utf-8")
    argv = [str(paths.BIN / "ansible-playbook"), "--inventory", str(lab.inventory), playbook, *options]
    argv += ["--extra-vars", json.dumps(variables)]
    with console.Live() as live:
        progress = Progress(live)
        code = stream(argv, log, progress.read, cwd=paths.ANSIBLE, env=ENVIRONMENT)
        progress.finish_task()
    if code:
        raise LabError(f"{playbook} failed:\n{failure(log.read_text(encoding='utf-8'))}\n    The whole log: {log}")
    return progress


def failure(output: str, most: int = 80) -> str:
    """The last task that failed: what came before it was rescued, and the middle of what is long is left out."""
    lines = output.splitlines()
    failed = [number for number, line in enumerate(lines) if re.match(r"fatal: |failed: |ERROR!|\[ERROR\]", line)]
    if not failed:
        return indented(lines[-20:])
    bad = failed[-1]
    heading = next((line for line in reversed(lines[:bad]) if TASK.match(line)), "")
    rest = lines[bad:]
    end = next((i for i, line in enumerate(rest) if TASK.match(line) or line.startswith("PLAY RECAP")), len(rest))
    told = rest[:end]
    if len(told) > most:
        told = [*told[: most // 4], "…", *told[-most * 3 // 4 :]]
    return indented([heading, *told])


def indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines if line.strip())
