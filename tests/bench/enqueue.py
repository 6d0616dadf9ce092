"""What a call costs the caller: a plain task of ours and of the peers, beside a raw LPUSH of a message as long."""

from collections import defaultdict

from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import progress, turns
from tests.bench.stand import Stand

RAW = "redis-py, LPUSH"
OURS = "this service, `.delay()`"
# With as many calls as take about two seconds: what takes less is at the mercy of the moment.
MODULES = {
    RAW: ("raw", 25_000),
    OURS: ("ours", 3000),
    "Celery as the tutorial has it": ("celery_tutorial", 2000),
    "dramatiq": ("dramatiq_app", 8000),
    "huey": ("huey_app", 20_000),
    "rq": ("rq_app", 4000),
}
TEXT = """A task that does nothing, with the arguments of the welcome mail, called one after the other for some two
seconds from one process, once its connection is there. The raw LPUSH is of {size} bytes, as long as this service's
message."""


def run(stand: Stand, rounds: int) -> Section:
    size = message_bytes(stand)
    wall: Samples = defaultdict(list)
    cpu: Samples = defaultdict(list)
    for name in turns(list(MODULES), rounds, "Enqueue"):
        stand.empty()
        module, calls = MODULES[name]
        environment = stand.ours if name == OURS else {**stand.plain, "MESSAGE_BYTES": str(size)}
        found = stand.run(environment, "calls", module, "send_nothing", calls, 1)
        wall[name].append(found["wall"] * 1e6)
        cpu[name].append(found["cpu"] * 1e6)
        progress(f"    {wall[name][-1]:.0f} µs, of which {cpu[name][-1]:.0f} µs are CPU of the caller")
    head = ("contestant", "by the clock, µs", "× LPUSH", "CPU, µs", "× LPUSH")
    rows = [row(name, wall, cpu) for name in MODULES]
    return Section("Enqueue", TEXT.format(size=size), head, rows, asked(wall, cpu))


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
