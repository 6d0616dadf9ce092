"""What the whole service takes of a machine's memory at rest: PSS, which shares out what processes share."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import mails, registration
from tests.bench.contestants import PLAYBOOK
from tests.bench.processes import cpu, tree
from tests.bench.report import Requirement, Section
from tests.bench.rounds import Running, progress
from tests.bench.stand import Stand, standing, unit
from tests.bench.web import PROCESSES, Web, gunicorn, keep_asking
from tests.integration.servers import free_port, listening, wait_until

MOST = 700
REST_CPU = 0.2
TEXT = f"""The units of a single VM as the playbook sets them up on this machine: Gunicorn with {PROCESSES}
processes, a worker of 20 threads and one of two processes, Beat, Flower, Redis and PostgreSQL, after registrations
and mails. nginx, systemd's own and the kernel are not in it. In megabytes."""
# The first process of each.
Programs = dict[str, int]


def run(stand: Stand, rounds: int) -> Section:
    progress("Memory: the whole stack")
    # With servers of its own: what others have read fills PostgreSQL's buffers.
    with standing(users=100) as fresh, stack_of(fresh) as programs:
        wait_until(lambda: at_rest(programs), "nothing is loaded any more", 120)
        return told({name: processes(pid) for name, pid in programs.items()})


def at_rest(programs: Programs) -> bool:
    """What waits for work takes less CPU than this in two seconds."""
    before = sum(map(cpu, programs.values()))
    time.sleep(2)
    return sum(map(cpu, programs.values())) - before < REST_CPU


def processes(pid: int) -> list[tuple[str, float]]:
    """Of any program on any machine, the lab's too, where the units say their main process."""
    return [(title(each), pss(each)) for each in tree(pid)]


def told(programs: dict[str, list[tuple[str, float]]]) -> Section:
    sums = {name: sum(megabytes for _, megabytes in found) for name, found in programs.items()}
    total = sum(sums.values())
    progress(f"    {total:.0f} MB")
    rows = [[name, "together", f"**{megabytes:.1f}**"] for name, megabytes in {**sums, "all": total}.items()]
    rows += [[name, what, f"{megabytes:.1f}"] for name, found in programs.items() for what, megabytes in alike(found)]
    asked = Requirement("memory of the stack at rest, without nginx", "PSS", [total], at_most=MOST, unit="MB")
    return Section("Memory", TEXT, ("program", "process", "PSS, MB"), rows, [asked])


def alike(found: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Processes of the same name together."""
    sums: dict[str, list[float]] = {}
    for what, megabytes in found:
        sums.setdefault(what, []).append(megabytes)
    return [(f"{len(each)} × {what}" if len(each) > 1 else what, sum(each)) for what, each in sums.items()]


def pss(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0


def title(pid: int) -> str:
    """Without ports and addresses, which differ from run to run."""
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    return " ".join(Path(word).name for word in words[:5] if not re.search(r"\d{4}", word))


@contextmanager
def stack_of(stand: Stand) -> Iterator[Programs]:
    with ExitStack() as stack:
        workers = {queue: stack.enter_context(Running(stand, contestant)) for queue, contestant in PLAYBOOK.items()}
        web = stack.enter_context(gunicorn(stand, stand.ours))
        others = {name: stack.enter_context(alone(stand, name)) for name in ("celery-beat", "flower")}
        for worker in workers.values():
            worker.wait_until_ready()
        use(stand, web, workers["email"])
        yield {
            "gunicorn": web.process.popen.pid,
            **{f"celery-worker {queue}": running.workers[0].popen.pid for queue, running in workers.items()},
            **others,
            "redis": stand.redis.popen.pid,
            "postgresql": stand.postgres.popen.pid,
        }


@contextmanager
def alone(stand: Stand, name: str) -> Iterator[int]:
    """Beat or Flower; the one has nothing that could be reached at a port."""
    port = free_port()
    more = [f"--port={port}"] if name == "flower" else []
    process = stand.start(name, unit(f"{name}.service", *more, STATE_DIRECTORY=str(stand.folder)), stand.ours)
    try:
        if more:
            wait_until(lambda: listening(port), f"{name} listens", 60)
        yield process.popen.pid
    finally:
        process.end()


def use(stand: Stand, web: Web, worker: Running) -> None:
    """So that everything is loaded that is loaded in service."""
    stand.sink.count_anew(0)
    keep_asking(registration.visitors(web), 302, 3)
    mails.warm_up(stand, worker)
