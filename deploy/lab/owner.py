"""Which process something belongs to, and whether it still lives."""

import os
import re
from pathlib import Path

STAMP = re.compile(r"(?P<pid>\d+)-(?P<started>\d+)")


def stamp() -> str:
    """This process, told apart from a later one with the same number by when it started."""
    return f"{os.getpid()}-{started(os.getpid())}"


def started(pid: int) -> str:
    """In clock ticks since boot; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The second field is the command's name in brackets, which may hold spaces and brackets itself.
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in {"Z", "X"} else fields[18]


def alive(owner: str) -> bool:
    match = STAMP.fullmatch(owner)
    return match is not None and started(int(match["pid"])) == match["started"]
