"""Whether twice the worker services send twice the mails, when the mail server is what takes its time."""

from collections import defaultdict

from tests.bench.contestants import ours
from tests.bench.mails import drained, warm_up
from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import Running, progress, turns
from tests.bench.stand import Stand

THREADS = 25
# How many mails each thread sends.
WAVES = 8
TEXT = f"""Services of {THREADS} threads, {WAVES} mails for each thread, 1000 ms at the mail server."""


def run(stand: Stand, rounds: int) -> Section:
    contestants = {count: ours(f"{count} services", count, THREADS, "threads") for count in (1, 2, 4)}
    rates: Samples = defaultdict(list)
    void = []
    for count in turns(list(contestants), rounds, "Growth, services"):
        with Running(stand, contestants[count]) as running:
            running.wait_until_ready()
            warm_up(stand, running)
            wanted = contestants[count].in_flight * WAVES
            found = drained(stand, running, wanted, 1.0)
        rates[str(count)].append(found["mails"] / found["seconds"])
        progress(f"    {rates[str(count)][-1]:.1f} mails/s")
        if not found["mails"] == found["recipients"] == wanted:
            void.append(f"{count} services sent {found['mails']} mails to {found['recipients']} of {wanted} people")
    linear = {count: [value / count for value in ratios(rates[str(count)], rates["1"])] for count in contestants}
    rows = [[str(count), spread(rates[str(count)]), spread(linear[count])] for count in contestants]
    asked = [
        Requirement(f"growth, {count} services at 1000 ms", "as many times one", linear[count], at_least=0.95)
        for count in (2, 4)
    ]
    return Section("Growth", TEXT, ("services", "mails/s", "of linear"), rows, asked, void)
