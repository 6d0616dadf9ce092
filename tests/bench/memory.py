"""What the whole service takes of a machine's memory at rest: PSS, which shares out what processes share."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import mails, registration
from tests.bench.contestants import ours
from tests.bench.processes import tree
from tests.bench.report import Requirement, Section
from tests.bench.rounds import Running, progress
from tests.bench.stand import Stand, standing, unit
from tests.bench.web import PROCESSES, gunicorn, keep_asking
from tests.integration.servers import free_port, listening, wait_until

MOST = 700
TEXT = f"""The units of a single VM as the playbook sets them up on this machine: Gunicorn with {PROCESSES}
processes, two workers of two processes each, Beat, Flower, Redis and PostgreSQL, after registrations and mails.
nginx, systemd's own and the kernel are not in it. In megabytes."""
Programs = dict[str, int]


def run(stand: Stand, rounds: int) -> Section:
    progress("Memory: the whole stack")
    # With servers of its own: what others have read fills PostgreSQL's buffers.
    with standing(users=100) as fresh, stack_of(fresh) as programs:
        rows = [row for name, pid in programs.items() for row in processes(name, pid)]
    total = sum(pss for _, _, pss in rows)
    cells = [[name, what, f"{pss:.1f}"] for name, what, pss in rows]
    by_program = [[name, "together", f"**{sum(pss for of, _, pss in rows if of == name):.1f}**"] for name in programs]
    asked = Requirement("memory of the stack at rest, without nginx", "PSS", [total], at_most=MOST, unit="MB")
    progress(f"    {total:.0f} MB")
    return Section(
        "Memory",
        TEXT,
        ("program", "process", "PSS, MB"),
        [*by_program, ["all", "", f"**{total:.1f}**"], *cells],
        [asked],
    )


def processes(name: str, pid: int) -> list[tuple[str, str, float]]:
    """Of any program on any machine: the lab's, once it is asked, has units that say their main process."""
    return [(name, title(each), pss(each)) for each in tree(pid)]


def pss(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0


def title(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    return " ".join(Path(word).name for word in words[:6])


@contextmanager
def stack_of(stand: Stand) -> Iterator[Programs]:
    with ExitStack() as stack:
        workers = {
            queue: stack.enter_context(Running(stand, ours(queue, queue=queue)))
            for queue in ("email", "celery,dead_letter")
        }
        for worker in workers.values():
            worker.wait_until_ready()
        web = stack.enter_context(gunicorn(stand, stand.ours))
        beat = stand.start("beat", unit("celery-beat.service", **{"${STATE_DIRECTORY}": str(stand.folder)}), stand.ours)
        stack.callback(beat.end)
        port = free_port()
        flower = stand.start(
            "flower", unit("flower.service", f"--port={port}", **{"${STATE_DIRECTORY}": str(stand.folder)}), stand.ours
        )
        stack.callback(flower.end)
        wait_until(lambda: listening(port), "Flower listens", 60)
        stand.sink.count_anew(0)
        keep_asking(registration.visitors(web), 302, 3)
        mails.warm_up(stand, workers["email"])
        yield {
            "Gunicorn": web.process.popen.pid,
            **{f"worker {queue}": running.workers[0].popen.pid for queue, running in workers.items()},
            "Beat": beat.popen.pid,
            "Flower": flower.popen.pid,
            "Redis": stand.redis.popen.pid,
            "PostgreSQL": stand.postgres.popen.pid,
        }
