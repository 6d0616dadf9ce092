"""Mails a second, with a mail server that takes 0, 100 and 1000 ms over each."""

import math
import os
import smtplib
import time
from collections import defaultdict
from contextlib import suppress

from tests.bench.contestants import CONCURRENCY, PLAYBOOK, POOL, SERVICES, Contestant, celery, dramatiq, huey, ours, rq
from tests.bench.processes import cpu
from tests.bench.report import Requirement, Samples, Section, best, figure, ratios, spread
from tests.bench.rounds import Running, progress, turns
from tests.bench.stand import USERS, Stand
from tests.integration.servers import wait_until

DELAYS = (0.0, 0.1, 1.0)
# How long a run is to take, unless one mail after the other takes longer; SECONDS=1 is for seeing that all works.
SECONDS = float(os.environ.get("SECONDS") or 4)
# So many tell how many it takes to fill that time.
PROBE = 60
TUTORIAL = celery("Celery as the tutorial runs it, prefork -c4", "--concurrency=4", in_flight=4)
DEFAULT = PLAYBOOK["email"]
PROCESSES = ours("this service, prefork -c2", 1, 2, "prefork")
SAME = ours("this service, 2 services of 25 threads", 2, 25, "threads")
BEST = ours(f"this service at its best, {SERVICES} × {CONCURRENCY}, {POOL}", SERVICES, CONCURRENCY, POOL)
PEERS_SAME = (dramatiq("dramatiq, 2 processes of 25 threads", 2, 25), huey("huey, 50 threads", "thread", 50))
PEERS = (
    *PEERS_SAME,
    dramatiq("dramatiq, 2 processes of 50 threads", 2, 50),
    dramatiq("dramatiq, 4 processes of 25 threads", 4, 25),
    rq("rq, 4 workers", 4),
    TUTORIAL,
)
ALL = (DEFAULT, PROCESSES, SAME, BEST, *PEERS)
LIMIT = "smtplib, one connection"
TEXT = """Each looks the user up in PostgreSQL, renders both templates and sends a mail of two parts. This service does
so with durable delivery, the peers without. The workers are up and warm, and are held (SIGSTOP) while their queue is
filled; the time counts from the first mail's begin until the last is answered. Every mail is counted at the server:
once each, or the result is void. CPU is that of the workers' processes, at 0 ms. The server offers PIPELINING, as most
do; Python's smtplib, and with it the peers, do not use it. At their best both sides have 100 in flight; who is the best
peer is found anew at each delay."""


def amount(contestant: Contestant, delay: float, most: float) -> int:
    """As many as take SECONDS, or twice that at 1000 ms, where whoever has one mail too many waits for a second.

    `most` is how many a second there are at 0 ms.
    """
    rate = min(contestant.in_flight / delay, most) if delay else most
    return min(USERS, math.ceil(rate * SECONDS * (1 + delay) / contestant.in_flight) * contestant.in_flight)


class Tally:
    def __init__(self) -> None:
        self.rates: dict[float, Samples] = {delay: defaultdict(list) for delay in DELAYS}
        self.cpu: Samples = defaultdict(list)
        self.void: list[str] = []

    def add(self, name: str, delay: float, found: dict[str, float], wanted: int) -> None:
        rate = found["mails"] / found["seconds"]
        self.rates[delay][name].append(rate)
        progress(f"    {delay * 1000:.0f} ms: {figure(rate)} mails/s, {wanted} mails in {figure(found['seconds'])} s")
        self.void += misdelivered(name, found, wanted)


def misdelivered(name: str, found: dict[str, float], wanted: int) -> list[str]:
    if found["mails"] == found["recipients"] == wanted:
        return []
    return [f"{name} sent {found['mails']:.0f} mails to {found['recipients']:.0f} of {wanted} people"]


def run(stand: Stand, rounds: int) -> Section:
    tally = Tally()
    for contestant in turns((*ALL, LIMIT), rounds, "Mails"):
        if isinstance(contestant, Contestant):
            compete(stand, contestant, DELAYS, tally)
        else:
            tally.add(LIMIT, 0, loop(stand, 4000), 4000)
    head = ("contestant", "in flight", *(f"mails/s at {delay * 1000:.0f} ms" for delay in DELAYS), "CPU per mail")
    rows = [row(each.name, str(each.in_flight), tally) for each in ALL] + [row(LIMIT, "1", tally)]
    return Section("Mails", TEXT, head, rows, asked(tally), tally.void)


def compete(stand: Stand, contestant: Contestant, delays: tuple[float, ...], tally: Tally) -> None:
    stand.empty()
    with Running(stand, contestant) as running:
        running.wait_until_ready()
        warm_up(stand, running)
        tried = drained(stand, running, max(PROBE, 2 * contestant.in_flight), 0)
        most = tried["mails"] / tried["seconds"]
        for delay in delays:
            before = sum(cpu(worker.popen.pid) for worker in running.workers)
            wanted = amount(contestant, delay, most)
            tally.add(contestant.name, delay, drained(stand, running, wanted, delay), wanted)
            if delay == 0:
                spent = sum(cpu(worker.popen.pid) for worker in running.workers) - before
                tally.cpu[contestant.name].append(spent / wanted * 1000)


def warm_up(stand: Stand, running: Running) -> None:
    """Every process and thread has sent something, and has its connections."""
    count = 3 * running.contestant.in_flight
    stand.sink.count_anew(0.1)
    running.fill("send_welcome", count)
    wait_until(lambda: stand.sink.counted()["mails"] >= count, f"{running.contestant.name} is warm", 60)
    running.wait_until_done()


def drained(stand: Stand, running: Running, count: int, delay: float) -> dict[str, float]:
    running.hold()
    running.fill("send_welcome", count)
    stand.sink.count_anew(delay)
    running.let_go()
    end = time.monotonic() + 90
    while stand.sink.counted()["mails"] < count and time.monotonic() < end:
        time.sleep(0.1)
    with suppress(AssertionError):
        # What is not done by then is missing at the server, and said.
        running.wait_until_done(10)
    return stand.sink.counted()


def loop(stand: Stand, count: int) -> dict[str, float]:
    """One connection, one message that is there already: what a mail server and Python allow."""
    stand.sink.count_anew(0)
    message = b"Subject: Welcome to Django SaaS\r\n\r\n" + b"x" * 2000
    with smtplib.SMTP("127.0.0.1", stand.sink.port) as server:
        for number in range(count):
            server.sendmail("noreply@example.org", [f"user{number}@example.org"], message)
    return stand.sink.counted()


def row(name: str, in_flight: str, tally: Tally) -> list[str]:
    rates = [spread(tally.rates[delay][name]) if name in tally.rates[delay] else "" for delay in DELAYS]
    return [name, in_flight, *rates, f"{spread(tally.cpu[name])} ms" if name in tally.cpu else ""]


def asked(tally: Tally) -> list[Requirement]:
    found = []
    for delay in (0.1, 1.0, 0.0):
        what, rates = f"mails at {delay * 1000:.0f} ms", tally.rates[delay]
        for how, mine, peers in (
            (f"{SAME.in_flight} in flight on both sides", SAME, PEERS_SAME),
            ("each at its best", BEST, PEERS),
        ):
            peer = best(rates, (each.name for each in peers))
            values = ratios(rates[mine.name], rates[peer])
            found.append(Requirement(f"{what}, {how}", peer, values, at_least=1.0))
    rates = tally.rates[0.1]
    for how, mine in ("at its best", BEST), ("as the playbook sets it up", DEFAULT):
        values = ratios(rates[mine.name], rates[TUTORIAL.name])
        found.append(Requirement(f"mails at 100 ms, {how}", TUTORIAL.name, values, at_least=10))
    return found
