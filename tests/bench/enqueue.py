"""What a call costs the caller: a plain task of ours and of the peers, beside a raw LPUSH of a message as long."""

from collections import defaultdict

from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import progress, turns
from tests.bench.stand import Stand

CALLS = 3000
RAW = "redis-py, LPUSH"
OURS = "this service, `.delay()`"
MODULES = {
    RAW: "raw",
    OURS: "ours",
    "Celery as the tutorial has it": "celery_tutorial",
    "dramatiq": "dramatiq_app",
    "huey": "huey_app",
    "rq": "rq_app",
}
TEXT = """A task that does nothing, with the arguments of the welcome mail, called {calls} times one after the other
from one process, once its connection is there. The raw LPUSH is of {size} bytes, as long as this service's message."""


def run(stand: Stand, rounds: int) -> Section:
    size = message_bytes(stand)
    wall: Samples = defaultdict(list)
    cpu: Samples = defaultdict(list)
    for name in turns(list(MODULES), rounds, "Enqueue"):
        stand.empty()
        environment = stand.ours if name == OURS else {**stand.plain, "MESSAGE_BYTES": str(size)}
        found = stand.run(environment, "calls", MODULES[name], "send_nothing", CALLS, 1)
        wall[name].append(found["wall"] * 1e6)
        cpu[name].append(found["cpu"] * 1e6)
        progress(f"    {wall[name][-1]:.0f} µs, of which {cpu[name][-1]:.0f} µs are CPU of the caller")
    head = ("contestant", "by the clock, µs", "× LPUSH", "CPU, µs", "× LPUSH")
    rows = [row(name, wall, cpu) for name in MODULES]
    return Section("Enqueue", TEXT.format(calls=CALLS, size=size), head, rows, asked(wall, cpu))


def message_bytes(stand: Stand) -> int:
    stand.empty()
    stand.run(stand.ours, "calls", "ours", "send_nothing", 1, 1)
    return len(str(stand.redis.client().lindex("celery", 0)))


def row(name: str, wall: Samples, cpu: Samples) -> list[str]:
    cells = []
    for samples in (wall, cpu):
        cells += [spread(samples[name]), spread(ratios(samples[name], samples[RAW]))]
    return [name, *cells]


def asked(wall: Samples, cpu: Samples) -> list[Requirement]:
    sides = (("by the clock", wall), ("CPU", cpu))
    return [
        Requirement(f"enqueue, `.delay()` of a plain task, {what}", RAW, ratios(them[OURS], them[RAW]), at_most=3.0)
        for what, them in sides
    ]
