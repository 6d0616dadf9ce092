"""What `saas status` finds, and from where on that is a warning or critical."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path("/etc/saas/limits.json")
MEANING = {
    "oldest_task": "seconds that a task has waited for a worker",
    "running_task": "seconds that a task has run, or a message is unacknowledged",
    "dead_letters": "dead letters",
    "beat_silence": "seconds since Beat last woke up",
    "broker_memory": "percent of the memory that Redis may take",
    "unit_memory": "MB that the processes of a unit have",
    "disk_free": "percent of a file system that are free",
    "certificate_days": "days until the certificate ends",
}
OK, WARNING, CRITICAL = 0, 1, 2
# What would speak to a terminal. It is root's, and the application has a say in what is shown.
CONTROLS = {number: f"\\x{number:02x}" for number in (*range(0x20), *range(0x7F, 0xA0))}
Limits = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Finding:
    """`text` is for people, `facts` are for programs."""

    level: int
    name: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class UnusableError(Exception):
    """The limits cannot be used; the message says why."""


def load() -> Limits:
    try:
        values = json.loads(FILE.read_text())
        return {name: pair(values[name]) for name in MEANING}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UnusableError(f"the limits in {FILE} cannot be used: {type(error).__name__}: {error}") from error


def pair(value: Any) -> tuple[float, float]:
    if not all(isinstance(number, int | float) for number in value):
        raise TypeError(f"{value} is not two numbers")
    warning, critical = value
    return warning, critical


def level(limits: Limits, name: str, value: float | None) -> int:
    """Where the critical value is the smaller one, less is worse. Nothing measured is nothing wrong."""
    if value is None:
        return OK
    warning, critical = limits[name]
    worse = 1 if critical >= warning else -1
    return (worse * value >= worse * warning) + (worse * value >= worse * critical)


def explain() -> str:
    limits: Limits = {}
    with suppress(UnusableError):
        limits = load()
    rows = [
        f"  {name:<17} {' / '.join(str(value) for value in limits.get(name, ())):>11}  {meaning}"
        for name, meaning in MEANING.items()
    ]
    return "\n".join(["warning / critical from, set in the inventory as operations_<name>:", *rows])


def span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def printable(text: str) -> str:
    return text.translate(CONTROLS)
