"""/health/ beside what asks every worker: `inspect().active()`, which waits a second for answers."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

from celery import Celery

from tests.bench.contestants import PLAYBOOK
from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import Running, progress, turns
from tests.bench.stand import Stand
from tests.bench.web import Client, gunicorn

ASKED = 200
INSPECTED = 3
HEALTH, INSPECT = "/health/ under Gunicorn", "`inspect().active()`"
PING = "redis-py, PING"
TEXT = f"""One request after the other, {ASKED} in each round, over one connection; {INSPECTED} inspections of the two
workers that the playbook sets up, whose tasks they list."""


def run(stand: Stand, rounds: int) -> Section:
    taken: Samples = defaultdict(list)
    with ExitStack() as stack:
        for worker in PLAYBOOK.values():
            stack.enter_context(Running(stand, worker)).wait_until_ready()
        client = Client(stack.enter_context(gunicorn(stand, stand.ours)).port)
        app = stack.enter_context(Celery(broker=stand.redis.url(0), set_as_current=False))
        redis = stand.redis.client()
        work = {
            HEALTH: lambda: milliseconds(lambda: client.ask("GET", "/health/"), ASKED),
            INSPECT: lambda: milliseconds(lambda: app.control.inspect().active(), INSPECTED),
            PING: lambda: milliseconds(redis.ping, ASKED),
        }
        milliseconds(lambda: client.ask("GET", "/health/"), ASKED)
        for name in turns(list(work), rounds, "Health"):
            taken[name].append(work[name]())
            progress(f"    {taken[name][-1]:.2f} ms")
    rows = [[name, f"{spread(taken[name])} ms"] for name in work]
    faster = Requirement(
        f"{HEALTH}, how many times faster", INSPECT, ratios(taken[INSPECT], taken[HEALTH]), at_least=200
    )
    return Section("Health", TEXT, ("what", "median of a round"), rows, [faster])


def milliseconds(work: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append((time.perf_counter() - begun) * 1000)
    return median(found)
