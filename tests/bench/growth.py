"""Whether twice the worker services send twice the mails, when the mail server is what takes its time."""

from collections import defaultdict

from tests.bench.contestants import Contestant, ours
from tests.bench.mails import drained, misdelivered, warm_up
from tests.bench.report import Requirement, Section, ratios, spread
from tests.bench.rounds import Running, progress, turns
from tests.bench.stand import Stand

THREADS = 25
# How many mails each thread sends.
WAVES = 8
SERVICES = {count: ours(f"{count} services", count, THREADS, "threads") for count in (1, 2, 4)}
TEXT = f"""Services of {THREADS} threads, {WAVES} mails for each thread, 1000 ms at the mail server."""


def run(stand: Stand, rounds: int) -> Section:
    rates: dict[int, list[float]] = defaultdict(list)
    void: list[str] = []
    for count in turns(list(SERVICES), rounds, "Growth, services"):
        contestant = SERVICES[count]
        found = sent(stand, contestant)
        rates[count].append(found["mails"] / found["seconds"])
        progress(f"    {rates[count][-1]:.1f} mails/s")
        void += misdelivered(contestant.name, found, contestant.in_flight * WAVES)
    linear = {count: [value / count for value in ratios(rates[count], rates[1])] for count in SERVICES}
    rows = [[str(count), spread(rates[count]), spread(linear[count])] for count in SERVICES]
    asked = [
        Requirement(f"growth, {count} services at 1000 ms", "as many times one", linear[count], at_least=0.95)
        for count in (2, 4)
    ]
    return Section("Growth", TEXT, ("services", "mails/s", "of linear"), rows, asked, void)


def sent(stand: Stand, contestant: Contestant) -> dict[str, float]:
    stand.empty()
    with Running(stand, contestant) as running:
        running.wait_until_ready()
        warm_up(stand, running)
        return drained(stand, running, contestant.in_flight * WAVES, 1.0)
