"""What a mail costs whoever registers, while the mail server takes a second over each."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count

from tests.bench.mails import DEFAULT
from tests.bench.report import Requirement, Samples, Section, percentile, ratios, spread
from tests.bench.rounds import Running, progress, turns
from tests.bench.stand import Stand
from tests.bench.web import PASSWORD, PROCESSES, THREADS, Client, Web, gunicorn, keep_asking

CLIENTS = 8
SECONDS = 10
PATH = "/accounts/register/"
OURS, QUIET = "this service", "the same with no task queued"
PERCENTILES = (50, 99)
numbers = count()
TEXT = """{clients} clients register one account after the other for {seconds} s, against Gunicorn as its unit file
runs it ({processes} processes of {threads} threads, the playbook's default here), while the default worker sends the
mails to a server that takes 1000 ms over each. Milliseconds of the POST alone, its password hashed with Argon2."""


def run(stand: Stand, rounds: int) -> Section:
    found: dict[int, Samples] = {percent: defaultdict(list) for percent in PERCENTILES}
    void: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(Running(stand, DEFAULT)).wait_until_ready()
        stand.sink.count_anew(1)
        applications = {OURS: "config.wsgi", QUIET: "tests.bench.quiet"}
        webs = {name: stack.enter_context(gunicorn(stand, stand.ours, at)) for name, at in applications.items()}
        for web in webs.values():
            keep_asking(visitors(web), 302, 2)
        for name in turns(list(webs), rounds, "Registration"):
            load = keep_asking(visitors(webs[name]), 302, SECONDS)
            for percent in PERCENTILES:
                found[percent][name].append(percentile(load.seconds, percent) * 1000)
            progress(f"    {len(load.seconds)} registrations, half within {found[50][name][-1]:.0f} ms")
            void += [f"{name} answered {status}" for status in load.failures]
    rows = [[name, *(spread(found[percent][name]) for percent in PERCENTILES)] for name in webs]
    text = TEXT.format(clients=CLIENTS, seconds=SECONDS, processes=PROCESSES, threads=THREADS)
    head = ("POST /accounts/register/", *(f"p{percent}, ms" for percent in PERCENTILES))
    return Section("Registration", text, head, rows, asked(found), void)


def visitors(web: Web) -> list[Callable[[], int]]:
    return [visitor(Client(web.port)) for _ in range(CLIENTS)]


def visitor(client: Client) -> Callable[[], int]:
    token = client.token(PATH)

    def register() -> int:
        name = f"visitor{next(numbers)}"
        form = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        return client.ask("POST", PATH, {**form, "csrfmiddlewaretoken": token})[0]

    return register


def asked(found: dict[int, Samples]) -> list[Requirement]:
    return [
        Requirement(f"{PATH} p{percent}, {CLIENTS} clients", QUIET, ratios(both[OURS], both[QUIET]), at_most=1.1)
        for percent, both in found.items()
    ]
