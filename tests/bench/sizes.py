"""What a mail costs the machines: CPU of each server, disk, memory. docs/scaling.md reckons with it."""

from collections import defaultdict
from typing import Any

from tests.bench.contestants import PLAYBOOK
from tests.bench.mails import warm_up
from tests.bench.processes import cpu
from tests.bench.report import Samples, Section, spread
from tests.bench.rounds import Running, progress
from tests.bench.stand import Stand

MAILS = 2000
WORKER = PLAYBOOK["email"]
TEXT = f"""{MAILS:,} welcome mails are called durably while the worker is held, each in a transaction of its own, and
then sent at 0 ms, by the playbook's worker for mails. Bytes of PostgreSQL's table are with its indexes and with what a
vacuum frees for the next rows; a done record is what is left of one once all is packed."""
NAMES = {
    "worker run": "worker, CPU of a run, ms",
    "postgresql call": "PostgreSQL, CPU of a call, ms",
    "postgresql run": "PostgreSQL, CPU of a run, ms",
    "redis call": "Redis, CPU of a call, ms",
    "redis run": "Redis, CPU of a run, ms",
    "wal call": "PostgreSQL, WAL of a call, bytes",
    "wal run": "PostgreSQL, WAL of a run, bytes",
    "table": "PostgreSQL, table of a call and a run, bytes",
    "record": "PostgreSQL, a done record, bytes",
    "memory": "Redis, a waiting message in memory, bytes",
    "aof": "Redis, AOF of a call and a run, bytes",
}
STATE = b"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), pg_total_relation_size('core_taskrecord')"
PACKED = b"SELECT pg_total_relation_size('core_taskrecord')::float / count(*) FROM core_taskrecord"
Figures = dict[str, float]


def run(stand: Stand, rounds: int) -> Section:
    found: Samples = defaultdict(list)
    for number in range(rounds):
        progress(f"Sizes, round {number + 1} of {rounds}")
        stand.empty()
        for name, figure in once(stand).items():
            found[name].append(figure)
    return Section(
        "What a mail costs", TEXT, ("what", "of a mail"), [[NAMES[name], spread(found[name])] for name in NAMES]
    )


def once(stand: Stand) -> Figures:
    with Running(stand, WORKER) as running:
        running.wait_until_ready()
        warm_up(stand, running)
        running.hold()
        before = state(stand, running)
        running.fill("send_welcome_alone", MAILS)
        called = state(stand, running)
        stand.sink.count_anew(0)
        running.let_go()
        running.wait_until_done()
        after = state(stand, running)
    of_call, of_run = difference(before, called), difference(called, after)
    return {
        "worker run": 1000 * of_run["worker"],
        **{f"{server} call": 1000 * of_call[server] for server in ("postgresql", "redis")},
        **{f"{server} run": 1000 * of_run[server] for server in ("postgresql", "redis")},
        "wal call": of_call["wal"],
        "wal run": of_run["wal"],
        "table": of_call["table"] + of_run["table"],
        "record": packed(stand),
        "memory": of_call["memory"],
        "aof": of_call["aof"] + of_run["aof"],
    }


def difference(before: Figures, after: Figures) -> Figures:
    return {name: (after[name] - before[name]) / MAILS for name in after}


def state(stand: Stand, running: Running) -> Figures:
    client: Any = stand.redis.client()
    with stand.postgres.connect() as connection:
        ((wal, table),) = connection.execute(STATE).fetchall()
    return {
        "worker": cpu(running.workers[0].popen.pid),
        "postgresql": cpu(stand.postgres.popen.pid),
        "redis": cpu(stand.redis.popen.pid),
        "wal": float(wal),
        "table": float(table),
        "memory": float(client.info("memory")["used_memory"]),
        "aof": float(client.info("persistence")["aof_current_size"]),
    }


def packed(stand: Stand) -> float:
    with stand.postgres.connect() as connection:
        connection.execute("VACUUM FULL core_taskrecord")
        return float(connection.execute(PACKED).fetchall()[0][0])
