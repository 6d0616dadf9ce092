"""The login page and the home of somebody signed in, beside the same templates in a project that has nothing else."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack

from tests.bench.processes import cpu
from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import progress, turns
from tests.bench.stand import Stand
from tests.bench.web import Client, Web, gunicorn, keep_asking

CLIENTS = 4
SECONDS = 4
PAGES = {"login page": "/accounts/login/", "home, signed in": "/"}
OURS, PLAIN = "this service", "a bare Django project"
TEXT = """A bare project has the middleware that `startproject` gives it, Django's own session look-up, and a view that
renders the same template. Both run under Gunicorn as the unit file runs it, with four clients that keep their
connections. What a core does in a second follows from the CPU that Gunicorn's processes spend on a request; the
clients' is not in it."""


def run(stand: Stand, rounds: int) -> Section:
    rates: dict[str, Samples] = {page: defaultdict(list) for page in PAGES}
    seen: dict[str, Samples] = {page: defaultdict(list) for page in PAGES}
    void: list[str] = []
    cookies = {name: str(value) for name, value in stand.run(stand.ours, "signed_in").items()}
    with ExitStack() as stack:
        webs = {
            OURS: stack.enter_context(gunicorn(stand, stand.ours)),
            PLAIN: stack.enter_context(gunicorn(stand, stand.plain, "tests.bench.plain.wsgi")),
        }
        for web in webs.values():
            for page in PAGES:
                keep_asking(visitors(web, page, cookies), 200, 1)
        for page, name in turns([(page, name) for page in PAGES for name in webs], rounds, "Pages"):
            before = cpu(webs[name].process.popen.pid)
            load = keep_asking(visitors(webs[name], page, cookies), 200, SECONDS)
            spent = cpu(webs[name].process.popen.pid) - before
            rates[page][name].append(len(load.seconds) / spent)
            seen[page][name].append(len(load.seconds) / SECONDS)
            progress(f"    {rates[page][name][-1]:.0f} requests/s per core")
            void += [f"{page} of {name} answered {status}" for status in load.failures]
    rows = [
        [
            page,
            name,
            spread(rates[page][name]),
            spread([1000 / rate for rate in rates[page][name]]),
            spread(seen[page][name]),
        ]
        for page in PAGES
        for name in webs
    ]
    head = ("page", "site", "requests/s per core", "CPU per request, ms", "requests/s seen")
    asked = [
        Requirement(f"{page}, requests/s per core", PLAIN, ratios(rates[page][OURS], rates[page][PLAIN]), at_least=0.8)
        for page in PAGES
    ]
    return Section("Pages", TEXT, head, rows, asked, void)


def visitors(web: Web, page: str, cookies: dict[str, str]) -> list[Callable[[], int]]:
    return [visitor(Client(web.port, cookies if page != "login page" else None), PAGES[page]) for _ in range(CLIENTS)]


def visitor(client: Client, path: str) -> Callable[[], int]:
    return lambda: client.ask("GET", path)[0]
