"""The login page and the home of somebody signed in, beside the same templates in a project that has nothing else."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

from tests.bench.processes import cpu
from tests.bench.report import Requirement, Section, ratios, spread
from tests.bench.rounds import progress, turns
from tests.bench.stand import Stand
from tests.bench.web import Client, Load, Web, gunicorn, keep_asking

CLIENTS = 4
SECONDS = 4
LOGIN, HOME = "login page", "home, signed in"
PATHS = {LOGIN: "/accounts/login/", HOME: "/"}
OURS, PLAIN = "this service", "a bare Django project"
Cookies = dict[str, str]
TEXT = """A bare project has the middleware that `startproject` gives it, Django's own session look-up, and a view that
renders the same template. Both run under Gunicorn as the unit file runs it, with four clients that keep their
connections. What a core does in a second follows from the CPU that Gunicorn's processes spend on a request; the
clients' is not in it."""
HEAD = ("page", "site", "requests/s per core", "CPU per request, ms", "requests/s seen")


class Tally:
    """By page and site: requests for each second of CPU, and for each of the clock."""

    def __init__(self) -> None:
        self.rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.seen: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.void: list[str] = []

    def add(self, page: str, site: str, load: Load, spent: float) -> None:
        self.rates[page, site].append(len(load.seconds) / spent)
        self.seen[page, site].append(len(load.seconds) / SECONDS)
        self.void += [f"{page} of {site} answered {status}" for status in load.failures]
        progress(f"    {self.rates[page, site][-1]:.0f} requests/s per core")

    def row(self, page: str, site: str) -> list[str]:
        rates = self.rates[page, site]
        return [page, site, spread(rates), spread([1000 / rate for rate in rates]), spread(self.seen[page, site])]

    def asked(self, page: str) -> Requirement:
        values = ratios(self.rates[page, OURS], self.rates[page, PLAIN])
        return Requirement(f"{page}, requests/s per core", PLAIN, values, at_least=0.8)


def run(stand: Stand, rounds: int) -> Section:
    tally, cases = Tally(), list(product(PATHS, (OURS, PLAIN)))
    cookies: Cookies = stand.run(stand.ours, "signed_in")
    with sites(stand) as webs:
        for page, site in cases:
            keep_asking(visitors(webs[site], page, cookies), 200, 1)
        for page, site in turns(cases, rounds, "Pages"):
            before = cpu(webs[site].process.popen.pid)
            load = keep_asking(visitors(webs[site], page, cookies), 200, SECONDS)
            tally.add(page, site, load, cpu(webs[site].process.popen.pid) - before)
    rows = [tally.row(page, site) for page, site in cases]
    return Section("Pages", TEXT, HEAD, rows, [tally.asked(page) for page in PATHS], tally.void)


@contextmanager
def sites(stand: Stand) -> Iterator[dict[str, Web]]:
    with gunicorn(stand, stand.ours) as ours, gunicorn(stand, stand.plain, "tests.bench.plain.wsgi") as plain:
        yield {OURS: ours, PLAIN: plain}


def visitors(web: Web, page: str, cookies: Cookies) -> list[Callable[[], int]]:
    return [visitor(Client(web.port, cookies if page == HOME else None), PATHS[page]) for _ in range(CLIENTS)]


def visitor(client: Client, path: str) -> Callable[[], int]:
    return lambda: client.ask("GET", path)[0]
