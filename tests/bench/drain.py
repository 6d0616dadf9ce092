"""How fast workers go through tasks that do nothing: what the machinery itself costs."""

import time
from collections import defaultdict

from tests.bench.contestants import PLAYBOOK, celery, dramatiq, huey, ours, rq
from tests.bench.report import Samples, Section, compared, figure
from tests.bench.rounds import Running, progress, turns
from tests.bench.stand import Stand

TUTORIAL = celery("Celery as the tutorial runs it")
ALL = {
    TUTORIAL: 2000,
    PLAYBOOK["celery,dead_letter"]: 2000,
    ours("this service, 2 services, solo", 2, 1, "solo", queue="celery,dead_letter"): 4000,
    ours("this service, 2 services of 25 threads", 2, 25, "threads", queue="celery,dead_letter"): 3000,
    dramatiq("dramatiq, its defaults", 2, 8): 6000,
    huey("huey, 4 processes", "process", 4): 8000,
    rq("rq, 4 workers", 4): 300,
}
TEXT = """Plain tasks, counted from the moment when the workers are let go until the queue is empty and all that was
fetched is acknowledged, which huey and Celery's defaults do before the task runs. This service's task keeps no result,
as its mails do not; that of Celery's tutorial keeps one."""


def run(stand: Stand, rounds: int) -> Section:
    rates: Samples = defaultdict(list)
    for contestant in turns(list(ALL), rounds, "Drain"):
        stand.empty()
        with Running(stand, contestant) as running:
            running.wait_until_ready()
            rates[contestant.name].append(ALL[contestant] / drained(running, ALL[contestant]))
        progress(f"    {figure(rates[contestant.name][-1])} tasks/s")
    ordered = {each.name: rates[each.name] for each in ALL}
    return Section("Tasks that do nothing", TEXT, ("contestant", "tasks/s", "×"), compared(ordered, TUTORIAL.name))


def drained(running: Running, count: int) -> float:
    """Seconds, after as many tasks to warm up as there are processes and threads, and more."""
    running.fill("send_nothing", 4 * running.contestant.in_flight)
    running.wait_until_done()
    running.hold()
    running.fill("send_nothing", count)
    begun = time.monotonic()
    running.let_go()
    running.wait_until_done()
    return time.monotonic() - begun
