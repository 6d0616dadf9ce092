"""Of the mails and tasks of a load: what was lost, what came twice, and for how long no mail came."""

import json
import re
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from lab import machine, mail
from lab.labs import SINGLE, Lab
from tests.lab.hosts import do

# Where maildev keeps them. A mail's own date is its sender's and has whole seconds; the file's is that of the delivery.
FILES = "find /tmp/maildev -name '*.eml' -printf '%f %T@\\n'"
CALLS = """
    SELECT coalesce(json_agg(json_build_array(id, begun, ended)), '[]') FROM (
        SELECT c.id, count(r.id) AS begun, count(r.ended_at) AS ended
        FROM bench_call c LEFT JOIN bench_run r ON r.call_id = c.id GROUP BY c.id
    ) AS calls
"""
# A lease lasts half a minute, then the task runs for 20 s; both once more for what waited behind it.
QUIET_SECONDS = 150


@dataclass(frozen=True)
class Mails:
    asked: int
    arrived: int
    lost: list[str]
    twice: list[str]
    # Seconds from one to the next, and when the second came.
    gap: tuple[float, float]

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.gap[1]))
        return (
            f"{self.arrived} for {self.asked} registrations, lost {len(self.lost)}, twice {len(self.twice)},"
            f" longest time without one {self.gap[0]:.1f} s, until {clock}"
        )


@dataclass(frozen=True)
class Tasks:
    asked: int
    begun: int
    ended: int
    lost: list[int]
    # Some of these may have been cut off in between, and finished once.
    begun_twice: list[int]
    ended_twice: list[int]

    def __str__(self) -> str:
        return (
            f"{self.asked} asked for, {self.begun} begun, {self.ended} ended, lost {len(self.lost)},"
            f" begun twice {len(self.begun_twice)}, of these ended twice {len(self.ended_twice)}"
        )


def deliveries(lab: Lab) -> list[tuple[float, str]]:
    """When each mail was there, and for whom."""
    rows = machine.execute(lab, "mail", "sh", "-c", FILES).splitlines()
    times = {name.removesuffix(".eml"): float(moment) for name, moment in (row.split() for row in rows)}
    return sorted((times[letter["id"]], letter["to"][0]["address"]) for letter in mail.inbox(lab.mail_address))


def audit_mails(lab: Lab, registered: dict[str, float], run: str, seconds: float = 60) -> Mails:
    """Waits until each has its mail, or for so long."""
    end = time.monotonic() + seconds
    while True:
        found = [(moment, to) for moment, to in deliveries(lab) if to.startswith(f"v{run}-")]
        if registered.keys() <= {to for _, to in found} or time.monotonic() > end:
            return count_mails(registered, found)
        time.sleep(1)


def count_mails(registered: dict[str, float], found: list[tuple[float, str]]) -> Mails:
    times = Counter(to for _, to in found)
    lost = sorted(registered.keys() - times.keys())
    twice = sorted(to for to, number in times.items() if number > 1)
    return Mails(len(registered), len(found), lost, twice, gap(registered.values(), [moment for moment, _ in found]))


def gap(asked: Collection[float], came: Collection[float]) -> tuple[float, float]:
    """From the first registration to the last mail: one that never came counts until the last registration."""
    ends = [min(asked), max(asked)] if asked else []
    moments = sorted([*came, *ends])
    return max(((later - earlier, later) for earlier, later in pairwise(moments)), default=(0, 0))


def last_call(lab: Lab) -> int:
    return max((number for number, _, _ in calls(lab)), default=0)


def audit_tasks(lab: Lab, after: int = 0, seconds: float = QUIET_SECONDS) -> Tasks:
    """Of the calls after one. Waits until all have ended, or for so long; nothing may ask for more meanwhile."""
    end = time.monotonic() + seconds
    while True:
        tasks = count_tasks([call for call in calls(lab) if call[0] > after])
        if not tasks.lost or time.monotonic() > end:
            return tasks
        time.sleep(1)


def calls(lab: Lab) -> list[tuple[int, int, int]]:
    """Of each call: its number, how often it began, how often it ended."""
    host = "saas" if lab.machines == SINGLE else "db1"
    statement = re.sub(r"\s+", " ", CALLS)
    found = do(lab, f'runuser -u postgres -- psql saas -qtAc "{statement}"', host)
    return [(number, begun, ended) for number, begun, ended in json.loads(found)]


def count_tasks(rows: list[tuple[int, int, int]]) -> Tasks:
    return Tasks(
        asked=len(rows),
        begun=sum(begun > 0 for _, begun, _ in rows),
        ended=sum(ended > 0 for _, _, ended in rows),
        lost=[number for number, _, ended in rows if not ended],
        begun_twice=[number for number, begun, _ in rows if begun > 1],
        ended_twice=[number for number, _, ended in rows if ended > 1],
    )
