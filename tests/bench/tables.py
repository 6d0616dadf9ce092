"""Whether a table with a hundred thousand pending and a million done records slows calls and sweeps down."""

from collections import defaultdict
from statistics import median
from typing import Any

import psycopg

from tests.bench.report import Requirement, Samples, Section, ratios, spread
from tests.bench.rounds import progress, turns
from tests.bench.stand import Environment, Stand
from tests.integration.test_durable_sweepers import INSERT, MILLION, PAYLOAD

CALLS = 300
PENDING = 100_000
DUE, SWEEPS = 1000, 3
EMPTY, FULL = "empty", "10⁵ pending, 10⁶ done"
TEXT = f"""Two databases of the same server. In either, {CALLS} durable calls, each its own transaction, and
{SWEEPS} sweeps that publish {DUE:,} records each, which are due; the pending ones besides are due in a day. Medians
of a round."""
NOT_DUE = b"""
    UPDATE core_taskrecord SET due_at = now() + interval '1 day', created_at = created_at - interval '1 day'
    WHERE closed_at IS NULL
"""
FORGET = b"DELETE FROM core_taskrecord WHERE closed_at IS NULL AND created_at > now() - interval '1 day'"


def run(stand: Stand, rounds: int) -> Section:
    sites = {EMPTY: stand.ours, FULL: filled(stand)}
    calls: Samples = defaultdict(list)
    sweeps: Samples = defaultdict(list)
    for name in turns(list(sites), rounds, "Tables"):
        found = measured(stand, sites[name])
        calls[name].append(median(found["calls"]))
        sweeps[name].append(median(found["sweeps"]))
        progress(f"    a call {calls[name][-1]:.2f} ms, a sweep {sweeps[name][-1]:.0f} ms")
    rows = [[name, f"{spread(calls[name])} ms", f"{spread(sweeps[name])} ms"] for name in sites]
    asked = [
        Requirement(f"tables, {what}", "empty tables", ratios(them[FULL], them[EMPTY]), at_most=1.2)
        for what, them in (("a durable `.delay()`", calls), (f"a sweep of {DUE:,}", sweeps))
    ]
    return Section("Full tables", TEXT, ("table", "a call", "a sweep"), rows, asked)


def filled(stand: Stand) -> Environment:
    progress("Tables: filling a second database")
    with stand.postgres.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS filled")
        connection.execute("CREATE DATABASE filled")
    environment = {**stand.ours, "DATABASE_URL": stand.postgres.url.replace("/postgres", "/filled")}
    stand.manage(environment, "migrate", "--verbosity=0")
    with connected(environment) as connection:
        connection.execute(INSERT, {"payload": "", "state": "done", "count": MILLION})
        connection.execute(INSERT, {"payload": PAYLOAD, "state": "published", "count": PENDING})
        connection.execute(NOT_DUE)
        connection.execute("VACUUM ANALYZE core_taskrecord")
    return environment


def connected(environment: Environment) -> psycopg.Connection:
    return psycopg.connect(environment["DATABASE_URL"], autocommit=True)


def measured(stand: Stand, environment: Environment) -> dict[str, Any]:
    stand.empty_redis()
    with connected(environment) as connection:
        connection.execute(INSERT, {"payload": PAYLOAD, "state": "waiting", "count": DUE * SWEEPS})
    found = stand.run(environment, "sweeping", CALLS, SWEEPS)
    with connected(environment) as connection:
        connection.execute(FORGET)
    return found
