"""Ways to keep a playbook from its end."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import paths
from lab.labs import Lab
from tests.lab.hosts import do

CUT = """
table inet cut {
    chain in { type filter hook input priority -300; tcp dport 22 drop; }
    chain out { type filter hook output priority -300; tcp sport 22 drop; }
}
"""
# ClientAliveInterval times ClientAliveCountMax, the last one's wait, and what a busy machine adds.
NOTICED = 90


@contextmanager
def playing(lab: Lab, book: str, log: Path, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(paths.BIN / "ansible-playbook"), "-i", str(lab.inventory), book, "-e", json.dumps(variables)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=paths.ANSIBLE, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def cut_off(lab: Lab, host: str) -> Iterator[None]:
    """Without a word to either side; only SSH, so that others tell whether it serves."""
    do(lab, f"nft -f - <<'END'{CUT}END\n", host)
    try:
        yield
    finally:
        do(lab, "nft delete table inet cut", host)


def wait_for_step(log: Path, step: str, seconds: float = 600) -> None:
    """By its role, too, as in `release : Start it`."""
    end = time.monotonic() + seconds
    while f"TASK [{step}]" not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < end, step
        time.sleep(0.1)
