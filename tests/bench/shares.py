"""Shares a profile out among what a mail is made of, by the files that functions stand in.

What is nobody's own (built-in functions, most of the standard library) is its callers', in proportion. Samples taken by
a signal would not do: Python hands them to the next function that is called, which had no part in the work.
"""

from collections import defaultdict
from typing import Any

PLACES = {
    "broker": ("/redis/", "/kombu/", "/core/broker.py"),
    "database": ("/django/db/", "/psycopg"),
    "building": ("/django/template/", "/email/", "/django/core/mail/message.py", "/core/email.py"),
    "sending": ("/smtplib.py", "/django/core/mail/", "/core/smtp.py", "/core/connections.py"),
    "logging": ("/logging/", "/core/journal.py", "/config/logging.py"),
    "Celery and this service's tasks": ("/celery/", "/billiard/", "/vine/", "/django_guid/", "/app/core/"),
}
# Helpers of several.
NOBODYS = ("/email/utils.py", "/email/_parseaddr.py")
OTHER = "other"
# So deep does a chain of functions that are nobody's own go at most.
DEPTH = 30
Function = tuple[str, int, str]
Shares = dict[str, float]


def place(function: Function) -> str | None:
    if function[0].endswith(NOBODYS):
        return None
    return next((name for name, parts in PLACES.items() if any(part in function[0] for part in parts)), None)


def split(stats: dict[Function, Any]) -> Shares:
    """Seconds for each place. `stats` is what pstats has: calls, seconds, callers for each function."""
    owned = owners(stats)
    found: Shares = defaultdict(float)
    for function, (_, _, seconds, _, _) in stats.items():
        for name, share in owned[function].items():
            found[name] += seconds * share
        found[OTHER] += seconds * (1 - sum(owned[function].values()))
    return dict(found)


def owners(stats: dict[Function, Any]) -> dict[Function, Shares]:
    owned: dict[Function, Shares] = {function: {name: 1.0} if (name := place(function)) else {} for function in stats}
    strangers = [function for function, shares in owned.items() if not shares]
    for _ in range(DEPTH):
        owned |= {function: inherited(stats[function][4], owned) for function in strangers}
    return owned


def inherited(callers: dict[Function, Any], owned: dict[Function, Shares]) -> Shares:
    # Of the seconds in the function and below it, those that each caller had it run for.
    total = sum(called[3] for called in callers.values()) or 1
    shares: Shares = defaultdict(float)
    for caller, called in callers.items():
        for name, share in owned.get(caller, {}).items():
            shares[name] += share * called[3] / total
    return dict(shares)


def within(stats: dict[Function, Any], file: str, names: tuple[str, ...]) -> float:
    """Seconds in these functions and in all that they call, each other among that."""
    found = {function for function in stats if file in function[0] and function[2] in names}
    nested = sum(stats[function][4].get(caller, (0, 0, 0, 0))[3] for function in found for caller in found)
    return float(sum(stats[function][3] for function in found) - nested)
