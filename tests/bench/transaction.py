"""What a durable call adds to a transaction that writes anyway."""

from collections import defaultdict
from statistics import median

from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import progress, turns
from tests.bench.stand import Stand

COUNT = 500
WITHOUT, WITH, PUBLISHING = "the transaction alone", "with a durable `.delay()`", "publishing, behind the commit"
NAMES = {WITHOUT: "without", WITH: "with", PUBLISHING: "publishing"}
TEXT = f"""An account is inserted and the transaction committed, {COUNT} times in each round; every second one calls the
welcome mail durably. Medians of a round, up to and with the commit, for which PostgreSQL waits for the disk."""


def run(stand: Stand, rounds: int) -> Section:
    taken: Samples = defaultdict(list)
    for _ in turns(["in turns"], rounds, "Transaction"):
        found = stand.run(stand.ours, "commits", COUNT)
        for name, key in NAMES.items():
            taken[name].append(median(found[key]))
        progress("    " + ", ".join(f"{name} {taken[name][-1]:.2f} ms" for name in NAMES))
    rows = [[name, f"{spread(taken[name])} ms"] for name in NAMES]
    asked = Requirement(
        "durable `.delay()`, up to the commit", WITHOUT, ratios(taken[WITH], taken[WITHOUT]), at_most=1.5
    )
    return Section("Durable call in a transaction", TEXT, ("what", "time"), rows, [asked])
