"""What the application knows: queues, tasks, Beat. Asked with `manage.py status`, judged here."""

import json
import subprocess
from typing import Any

from saas import manage
from saas.findings import CRITICAL, Finding, Limits, level, span

# It waits a second for the broker and five for the database; a busy host takes its time for the rest.
SECONDS = 45
# Asked every minute, it is not to fill the journal.
OPTIONS = ("--pipe", f"--property=RuntimeMaxSec={SECONDS}", "--property=LogLevelMax=warning")
Facts = dict[str, Any]


def look(limits: Limits) -> list[Finding]:
    if not manage.RELEASE.exists():
        return []
    try:
        facts = ask()
    except (subprocess.SubprocessError, ValueError) as error:
        return [Finding(CRITICAL, "application", f"manage.py status fails: {reason(error)}")]
    return [
        *(unreachable("database", facts) or database(limits, facts["database"])),
        *(unreachable("broker", facts) or broker(limits, facts["broker"])),
    ]


def ask() -> Facts:
    argv = manage.command(["status"], *OPTIONS)
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=2 * SECONDS,
        check=True,
    )
    facts: Facts = json.loads(done.stdout)
    return facts


def reason(error: Exception) -> str:
    told = (getattr(error, "stderr", "") or "").strip().splitlines()
    return told[-1] if told else f"it says nothing, or not within {SECONDS} s"


def unreachable(part: str, facts: Facts) -> list[Finding]:
    error = facts[part].get("error")
    return [Finding(CRITICAL, part, f"does not answer: {error}")] if error else []


def database(limits: Limits, facts: Facts) -> list[Finding]:
    pending = f"{facts['pending']} to be done{waits(facts['oldest'])}, {facts['postponed']} postponed"
    running = f"{facts['running']} running{waits(facts['longest'], 'longest for')}"
    lost = f", {facts['lost']} run again after their worker was lost" if facts["lost"] else ""
    dead = f"{facts['dead']}{waits(facts['newest_dead'], 'newest', ' ago')}"
    return [
        Finding(level(limits, "oldest_task", facts["oldest"]), "tasks", pending, facts),
        Finding(max(level(limits, "running_task", facts["longest"]), bool(lost)), "tasks running", running + lost),
        Finding(level(limits, "dead_letters", facts["dead"]), "dead letters", dead),
    ]


def broker(limits: Limits, facts: Facts) -> list[Finding]:
    queues = [judge_queue(limits, name, queue) for name, queue in sorted(facts["queues"].items())]
    unacked, memory = facts["unacked"], facts["memory_percent"]
    held = f"{unacked['count']} fetched by workers and not acknowledged{waits(unacked['oldest'])}"
    return [
        *queues,
        Finding(level(limits, "running_task", unacked["oldest"]), "messages", held, unacked),
        Finding(level(limits, "broker_memory", memory), "broker memory", f"{memory or 0:.0f} % of its limit"),
        judge_beat(limits, facts["beat_silent_for"]),
    ]


def judge_queue(limits: Limits, name: str, queue: Facts) -> Finding:
    text = f"{queue['waiting']} waiting{waits(queue['oldest'])}"
    return Finding(level(limits, "oldest_task", queue["oldest"]), f"queue {name}", text, queue)


def judge_beat(limits: Limits, silent: float | None) -> Finding:
    if silent is None:
        return Finding(CRITICAL, "beat", "has left no trace in the broker")
    return Finding(level(limits, "beat_silence", silent), "beat", f"woke up {span(silent)} ago", {"silent_for": silent})


def waits(seconds: float | None, word: str = "oldest for", after: str = "") -> str:
    return "" if seconds is None else f", {word} {span(seconds)}{after}"
