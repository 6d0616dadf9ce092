"""Where the CPU of a mail goes, in one solo worker."""

import pstats
import signal
from pathlib import Path

from tests.bench.contestants import Contestant, ours
from tests.bench.mails import drained, warm_up
from tests.bench.processes import cpu
from tests.bench.report import Section, figure, spread
from tests.bench.rounds import Running, progress
from tests.bench.shares import split, within
from tests.bench.stand import Stand
from tests.integration.servers import wait_until

MAILS = 400
SOLO = ours("solo", 1, 1, "solo")
TEXT = """One worker, `-P solo`, at 0 ms, first as it is and then under cProfile, whose shares are applied to the CPU of
the first thread; it makes code of many small calls look dearer than it is, and what waits for the network cheaper. What
built-in functions and the standard library take is their callers'. Building and sending are measured by themselves too,
one mail after the other in a loop."""
RECORD = "the durable record: its claim and its end, whatever of the above they take"


def run(stand: Stand, rounds: int) -> Section:
    progress("Profile: one solo worker as it is, then profiled")
    path = stand.folder / "profile"
    command = ("python", "-m", "tests.bench.profiled", str(path), *SOLO.commands[0])
    spent = milliseconds(stand, SOLO)
    milliseconds(stand, Contestant("profiled", "ours", (command,), 1, SOLO.keys))
    wait_until(path.exists, "the profile is written", 60)
    progress(f"    {figure(spent)} ms of CPU for each mail")
    found = [*rows(path, spent), *alone(stand, rounds)]
    return Section("Where a mail's CPU goes", TEXT, ("what", "share", "CPU per mail, ms"), found)


def rows(path: Path, spent: float) -> list[list[str]]:
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    shares = split(stats)
    total = sum(shares.values())
    parts = dict(sorted(shares.items(), key=lambda pair: -pair[1]))
    parts["all"] = total
    parts[RECORD] = within(stats, "/core/durable/", ("claim", "end"))
    return [[name, f"{part / total:.0%}", f"{part / total * spent:.2f}"] for name, part in parts.items()]


def alone(stand: Stand, rounds: int) -> list[list[str]]:
    stand.sink.count_anew(0)
    found = [stand.run(stand.ours, "parts", 2000) for _ in range(rounds)]
    return [[f"{part}, in a loop", "", spread([each[part] for each in found])] for part in ("building", "sending")]


def milliseconds(stand: Stand, contestant: Contestant) -> float:
    """Of CPU for a mail. The worker ends by itself, so that it writes what it has to."""
    stand.empty()
    with Running(stand, contestant) as running:
        running.wait_until_ready()
        warm_up(stand, running)
        count, pid = MAILS, running.workers[0].popen.pid
        before = cpu(pid)
        drained(stand, running, count, 0)
        spent = cpu(pid) - before
        running.workers[0].stop(signal.SIGTERM)
    return spent / count * 1000
