"""What `saas status` finds, and from where on that is a warning or critical."""

import json
from collections.abc import Mapping
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
Limits = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Finding:
    """`text` is for people, `facts` are for programs."""

    level: int
    name: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def load() -> Limits:
    values: Limits = json.loads(FILE.read_text())
    return values


def level(limits: Limits, name: str, value: float | None) -> int:
    """Where the critical value is the smaller one, less is worse. Nothing measured is nothing wrong."""
    if value is None:
        return OK
    warning, critical = limits[name]
    worse = 1 if critical >= warning else -1
    return (worse * value >= worse * warning) + (worse * value >= worse * critical)


def explain() -> str:
    limits = load() if FILE.exists() else {}
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
