"""What a mail costs whoever registers, while the mail server takes a second over each."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from tests.bench.mails import DEFAULT
from tests.bench.processes import cpu
from tests.bench.report import Requirement, Samples, Section, percentile, ratios, spread
from tests.bench.rounds import Running, progress
from tests.bench.stand import Stand
from tests.bench.web import PASSWORD, PROCESSES, THREADS, Client, Load, Web, gunicorn, keep_asking

CLIENTS = 8
# Both sides in short turns, many to a round: what else the machine does comes in bursts.
TURNS, SECONDS = 5, 3
PATH = "/accounts/register/"
OURS, QUIET = "this service", "the same with no task queued"
PERCENTILES = (50, 99)
numbers = count()
TEXT = f"""{CLIENTS} clients register one account after the other, {TURNS} times for {SECONDS} s in each round, in turns
with the other side, against Gunicorn as its unit file runs it ({PROCESSES} processes of {THREADS} threads, the
playbook's default here), while the default worker sends the mails to a server that takes 1000 ms over each.
Milliseconds of the POST alone, its password hashed with Argon2; CPU is that of Gunicorn's processes."""


class Tally:
    def __init__(self) -> None:
        self.found: dict[int, Samples] = {percent: defaultdict(list) for percent in PERCENTILES}
        self.cpu: Samples = defaultdict(list)
        self.void: list[str] = []

    def add(self, site: str, load: Load, spent: float) -> None:
        self.cpu[site].append(spent / len(load.seconds) * 1000)
        for percent in PERCENTILES:
            self.found[percent][site].append(percentile(load.seconds, percent) * 1000)
        self.void += [f"{site} answered {status}" for status in load.failures]
        progress(f"    {len(load.seconds)} registrations, half within {self.found[50][site][-1]:.0f} ms")

    def row(self, site: str) -> list[str]:
        return [site, *(spread(self.found[percent][site]) for percent in PERCENTILES), spread(self.cpu[site])]

    def asked(self, percent: int) -> Requirement:
        values = ratios(self.found[percent][OURS], self.found[percent][QUIET])
        return Requirement(f"{PATH} p{percent}, {CLIENTS} clients", QUIET, values, at_most=1.1)


def run(stand: Stand, rounds: int) -> Section:
    tally = Tally()
    with Running(stand, DEFAULT) as worker, sites(stand) as webs:
        worker.wait_until_ready()
        stand.sink.count_anew(1)
        for web in webs.values():
            keep_asking(visitors(web), 302, 2)
        for number in range(rounds):
            progress(f"Registration, round {number + 1} of {rounds}: both, {TURNS} times in turns")
            before = {site: cpu(web.process.popen.pid) for site, web in webs.items()}
            for site, load in loads(webs, worker).items():
                tally.add(site, load, cpu(webs[site].process.popen.pid) - before[site])
    head = (f"POST {PATH}", *(f"p{percent}, ms" for percent in PERCENTILES), "CPU, ms")
    rows = [tally.row(site) for site in (OURS, QUIET)]
    return Section("Registration", TEXT, head, rows, [tally.asked(percent) for percent in PERCENTILES], tally.void)


@contextmanager
def sites(stand: Stand) -> Iterator[dict[str, Web]]:
    with gunicorn(stand, stand.ours) as ours, gunicorn(stand, stand.ours, "tests.bench.quiet") as quiet:
        yield {OURS: ours, QUIET: quiet}


def loads(webs: dict[str, Web], worker: Running) -> dict[str, Load]:
    found = {site: Load() for site in webs}
    for site in list(webs) * TURNS:
        # What one side has queued is not worked off in the other's turn.
        worker.wait_until_done()
        found[site].join(keep_asking(visitors(webs[site]), 302, SECONDS))
    return found


def visitors(web: Web) -> list[Callable[[], int]]:
    return [visitor(Client(web.port)) for _ in range(CLIENTS)]


def visitor(client: Client) -> Callable[[], int]:
    token = client.token(PATH)

    def register() -> int:
        name = f"visitor{next(numbers)}"
        form = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        return client.ask("POST", PATH, {**form, "csrfmiddlewaretoken": token})[0]

    return register
