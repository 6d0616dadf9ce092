"""Counts, at the end, what arrived, what is dead and what is lost."""

import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid5

from celery import Celery

from tests.chaos.faults import Saboteur
from tests.chaos.load import Crowd
from tests.chaos.site import Site
from tests.integration.mailbox import link, parsed
from tests.integration.servers import program, wait_until

WELCOME, RESET = "Welcome to Django SaaS", "Password Reset Request"
LATE_STARTED = """
    SELECT count(*) FROM core_taskrecord WHERE attempts > 0
    AND created_at >= (SELECT min(date_joined) FROM accounts_user WHERE username LIKE 'late%%')
"""
# With the number of runs that its retries do not explain.
RECORDS = "SELECT id, task, greatest(attempts - retries - 1, 0) FROM core_taskrecord"
OPEN = "SELECT state, count(*) FROM core_taskrecord WHERE closed_at IS NULL GROUP BY state"
SENT_AGAIN = """
    SELECT extract(epoch FROM CASE WHEN sent_at > %s THEN sent_at ELSE started_at END - %s)::float
    FROM core_taskrecord WHERE id = %s AND attempts = %s
"""


@dataclass
class Result:
    counts: dict[str, object] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)

    def __str__(self) -> str:
        lines = [f"  {name}: {value}" for name, value in self.counts.items()]
        return "\n".join(["result", *lines, *(f"  WRONG: {fault}" for fault in self.faults)])


def wait_for_quiet(site: Site, seconds: float = 300) -> float:
    """Return how long it took until no record was open and no message waited."""
    start = time.monotonic()
    while time.monotonic() < start + seconds and (site.query(OPEN) or messages_waiting(site)):
        time.sleep(0.5)
    return time.monotonic() - start


def judge(site: Site, crowd: Crowd, saboteur: Saboteur) -> Result:
    result = Result()
    mails = [(envelope.rcpt_tos[0], parsed(envelope)) for envelope in list(site.post.envelopes)]
    judge_delivery(result, site, crowd, mails)
    judge_recovery(result, site, saboteur)
    judge_emptied(result, site, saboteur)
    judge_repeats(result, site.query(RECORDS), saboteur, [message for _, message in mails])
    judge_secrets(result, site, [message for _, message in mails])
    still_open, waiting = dict(site.query(OPEN)), messages_waiting(site)
    result.counts |= {"pending": still_open or 0, "messages that wait": waiting}
    result.expect(not still_open, f"records are open: {still_open}")
    result.expect(not waiting, f"{waiting} messages wait in the queues")
    return result


def messages_waiting(site: Site) -> int:
    return sum(int(site.redis.client().llen(queue)) for queue in ("email", "celery", "dead_letter"))


def judge_delivery(result: Result, site: Site, crowd: Crowd, mails: list[tuple[str, EmailMessage]]) -> None:
    accounts = {email for (email,) in site.query("SELECT email FROM accounts_user")}
    letters = site.query("SELECT task, kwargs, exception, reason FROM core_deadletter")
    users = dict(site.query("SELECT id, email FROM accounts_user"))
    dead = {(task.rpartition(".")[2], users.get(kw.get("user_id"), kw.get("email"))) for task, kw, _, _ in letters}
    got = {(message["Subject"], address) for address, message in mails}
    welcomed = {email for email in accounts if (WELCOME, email) in got}
    lost = [email for email in accounts - welcomed if ("send_welcome_email", email) not in dead]
    asked = {f"{name}@example.org" for name in crowd.asked}
    answered = {email for email in asked if (RESET, email) in got}
    unanswered = [email for email in asked - answered if ("request_password_reset", email) not in dead]
    result.counts |= {
        "accounts": len(accounts),
        "welcome mails": len(welcomed),
        "resets asked for": len(asked),
        "reset mails": len(answered),
        "dead letters": dict(Counter(reason for *_, reason in letters)),
        "refused by the mail server": dict(site.post.refusals),
        "pages that failed and were tried again": crowd.errors,
        "lost": len(lost) + len(unanswered),
    }
    result.expect(len(accounts) == site.plan.size.registrations, "accounts are missing")
    result.expect(not lost, f"no welcome mail and no dead letter: {lost[:5]}")
    result.expect(not unanswered, f"no reset mail and no dead letter: {unanswered[:5]}")
    wrong = [exception for *_, exception, _ in letters if "550" not in exception]
    result.counts["dead letters not for a 550"] = len(wrong)
    result.expect(not wrong, f"dead letters that are not for a 550: {wrong[:5]}")


def judge_recovery(result: Result, site: Site, saboteur: Saboteur) -> None:
    """Of a run that was hit, the time until the next one began; unless that had to be retried too."""
    sql = "SELECT extract(epoch FROM started_at - %s)::float FROM core_taskrecord WHERE id = %s AND attempts = %s"
    waits = [row[0] for key, attempt, moment in saboteur.killed for row in site.query(sql, moment, key, attempt + 1)]
    result.counts["seconds until interrupted runs began again"] = [round(wait, 1) for wait in waits]
    result.expect(all(wait <= 60 for wait in waits), "an interrupted run began again after more than 60 s")


def judge_emptied(result: Result, site: Site, saboteur: Saboteur) -> None:
    """Of a call that waited in Redis, the time until it was published again; unless it had to be retried since.

    What a worker had fetched by then began without that.
    """
    runs = saboteur.flushed
    waits = [row[0] for key, attempt, at in runs for row in site.query(SENT_AGAIN, at, at, key, attempt + 1)]
    result.counts["calls that had not begun when Redis was emptied"] = len(runs)
    result.counts["seconds until these were published again, at most"] = round(max(waits, default=0), 1)
    result.expect(bool(runs), "nothing waited in Redis when it was emptied")
    result.expect(all(wait <= 60 for wait in waits), "what Redis lost was published again after more than 60 s")


def judge_repeats(
    result: Result, records: list[tuple[Any, str, int]], saboteur: Saboteur, messages: list[EmailMessage]
) -> None:
    """Whatever ran again was interrupted as often, and a mail that it repeated has the Message-ID of the first."""
    interrupted = Counter(str(key) for key, *_ in [*saboteur.killed, *saboteur.restarted])
    unharmed = [str(key) for key, _, again in records if again > interrupted[str(key)]]
    times = Counter((message["Message-ID"], message["Subject"], message["To"]) for message in messages)
    source = {mail: record_of(mail, records) for mail in times}
    foreign = [mail for mail, key in source.items() if key is None]
    unexplained = [mail for mail, number in times.items() if number - 1 > interrupted[source[mail] or ""]]
    welcomes = Counter(to for _, subject, to in times if subject == WELCOME)
    result.counts |= {
        "worker kills": saboteur.kills,
        "runs interrupted by kills": len(saboteur.killed),
        "runs under way when the database restarted": len(saboteur.restarted),
        "interrupted runs that were repeated, by the records": sum(again for *_, again in records),
        "mails repeated, under the same Message-ID": sum(times.values()) - len(times),
    }
    result.expect(saboteur.kills == saboteur.site.plan.size.faults["kill worker"], "a kill hit no running task")
    result.expect(not unharmed, f"ran again without an interruption: {unharmed[:5]}")
    result.expect(not unexplained, f"mails repeated without an interruption: {unexplained[:5]}")
    result.expect(not foreign, f"a Message-ID of no record: {foreign[:5]}")
    result.expect(max(welcomes.values(), default=0) < 2, "welcome mails repeated under another Message-ID")


def record_of(mail: tuple[str, str, str], records: list[tuple[Any, str, int]]) -> str | None:
    task = {WELCOME: "core.tasks.send_welcome_email", RESET: "core.tasks.request_password_reset"}[mail[1]]
    return next((str(key) for key, name, _ in records if name == task and is_from(key, *mail)), None)


def is_from(record: str, message_id: str, subject: str, to: str) -> bool:
    return message_id.startswith(f"<{uuid5(UUID(str(record)), f'{subject}|{to}')}@")


def judge_secrets(result: Result, site: Site, messages: list[EmailMessage]) -> None:
    """Look for the tokens in everything Redis ever wrote and in a dump of the tables."""
    tokens = [link(message).strip("/").rpartition("/")[2] for message in messages if message["Subject"] == RESET]
    written = b"".join(path.read_bytes() for path in (site.folder / "redis").rglob("*") if path.is_file())
    dump = subprocess.run(
        [program("pg_dump", "postgresql"), "--data-only", site.postgres.url], check=True, capture_output=True
    ).stdout
    found = [token for token in tokens if token.encode() in written or token.encode() in dump]
    result.counts["reset tokens looked for"] = len(tokens)
    result.counts["reset tokens found in Redis or the tables"] = len(found)
    result.expect(bool(tokens), "there was no reset token to look for")
    result.expect(not found, "reset tokens lie in Redis or the tables")


def judge_consuming(result: Result, site: Site) -> None:
    """After all that, each worker takes tasks, and at once: no sweeper's help is needed."""
    crowd = Crowd(site)
    before = {name: unit.log.stat().st_size for name, unit in site.workers.items()}
    start = time.monotonic()
    for number in range(20):
        crowd.register(f"late{number}")
    wait_until(lambda: late_records(site) == 20, "twenty late registrations have their records", 20)
    wait_until(lambda: late_started(site) == 20, "the tasks of late registrations have begun", 20)
    result.counts["late registrations: seconds until all tasks had begun"] = round(time.monotonic() - start, 1)
    with Celery(broker=site.redis.url(0), set_as_current=False) as app:
        app.send_task("core.tasks.forget_rate_limits", queue="celery")
    wait_until(lambda: not silent(site, before), f"each of {', '.join(site.workers)} takes a task", 20)


def silent(site: Site, before: dict[str, int]) -> list[str]:
    return [name for name, unit in site.workers.items() if unit.log.stat().st_size == before[name]]


def late_records(site: Site) -> int:
    return int(site.query("SELECT count(*) FROM accounts_user WHERE username LIKE 'late%%'")[0][0])


def late_started(site: Site) -> int:
    return int(site.query(LATE_STARTED)[0][0])
