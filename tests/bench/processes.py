"""Processes that are measured: from the environment that has the peers, tied to the bench, held and let go."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.integration.servers import ROOT, Process, tied

BIN = ROOT / ".cache/bench/bin"
PYTHON = str(BIN / "python")
TICKS = os.sysconf("SC_CLK_TCK")


def tool(command: list[str]) -> list[str]:
    """The command with the program of that environment."""
    return [*tied(), str(BIN / Path(command[0]).name), *command[1:]]


class Worker(Process):
    def hold(self) -> None:
        """It stays as it is, while its queue is filled."""
        self.send(signal.SIGSTOP)

    def let_go(self) -> None:
        self.send(signal.SIGCONT)

    def end(self) -> None:
        """Whatever it would still do."""
        if self.popen.poll() is None:
            self.send(signal.SIGKILL)
            self.popen.wait(10)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(found for child in children for found in tree(int(child)))]


def cpu(pid: int) -> float:
    """Seconds of CPU that the process and its descendants have had, those that ended counted with their parent."""
    total = 0
    for each in tree(pid):
        # One that ends meanwhile is counted with its parent the next time.
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS
