"""Carries the plan's faults out, and shows what they hit."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.plan import Fault
from tests.chaos.site import Site, Unit
from tests.integration.servers import wait_until

RUNNING = "SELECT id, attempts, now(), task FROM core_taskrecord WHERE state = 'running' AND worker LIKE %s"
PUBLISHED = "SELECT id, attempts, now() FROM core_taskrecord WHERE state = 'published'"
# For statements that a process had sent before it was stopped.
SETTLING = 0.3
ENOUGH = 5
# A record's id, the number of its attempt, and when, by the database's clock.
Run = tuple[Any, int, Any]


@dataclass
class Saboteur:
    site: Site
    log: Callable[[str], None]
    kills: int = 0
    # Runs cut off by a kill, and runs that were under way when the database restarted.
    killed: list[Run] = field(default_factory=list)
    restarted: list[Run] = field(default_factory=list)
    # Calls whose messages waited when Redis was emptied.
    flushed: list[Run] = field(default_factory=list)

    def commit(self, fault: Fault) -> None:
        self.log(f"{fault.what} {fault.whom}".rstrip())
        action = {
            "kill worker": lambda: self.kill_worker(*fault.whom.split()),
            "kill redis": self.kill_redis,
            "flush redis": self.flush_redis,
            "stop redis": self.stop_redis,
            "restart postgres": self.restart_postgres,
            "kill beat": self.kill_beat,
        }[fault.what]
        action()

    def kill_worker(self, name: str, how: str) -> None:
        """Stop the worker while a task runs in it, note which, and kill: these runs are interrupted, and no others."""
        unit = self.site.workers[name]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            hit = self.running(unit) and self.stopped_while_running(unit)
            if hit:
                self.strike(unit, how)
                self.kills += 1
                self.killed += [row[:3] for row in hit]
                self.log("  hit while running: " + ", ".join(f"{task}[{key}]" for key, _, _, task in hit))
                return
            time.sleep(0.005)
        raise AssertionError(f"No task ran in {name} for a minute")

    def running(self, unit: Unit) -> list[Any]:
        """One that was just killed runs nothing, though its records still say so until a sweep."""
        if unit.popen.poll() is not None:
            return []
        return self.site.query(RUNNING, f"%/{unit.popen.pid}/%")

    def stopped_while_running(self, unit: Unit) -> list[Any]:
        unit.send(signal.SIGSTOP)
        time.sleep(SETTLING)
        hit = self.running(unit)
        if not hit:
            unit.send(signal.SIGCONT)
        return hit

    def strike(self, unit: Unit, how: str) -> None:
        if how == "whole":
            os.kill(unit.popen.pid, signal.SIGKILL)
            unit.popen.wait(5)
            return
        for pid in unit.children():
            os.kill(pid, signal.SIGKILL)
        unit.send(signal.SIGCONT)

    def kill_redis(self) -> None:
        self.site.redis.send(signal.SIGKILL)
        self.site.redis.popen.wait(5)
        time.sleep(1)
        self.site.redis.start()

    def flush_redis(self) -> None:
        """While the mail's workers stand still, so that messages wait which are lost."""
        units = [unit for name, unit in self.site.workers.items() if name.startswith("email")]
        client = self.site.redis.client()
        signal_all(units, signal.SIGSTOP)
        with suppress(AssertionError):
            wait_until(lambda: client.llen("email") >= ENOUGH, "messages wait", 10)
        waiting = client.llen("email")
        client.flushall()
        self.flushed = self.site.query(PUBLISHED)
        signal_all(units, signal.SIGCONT)
        self.log(f"  {waiting} messages of mails are gone, {len(self.flushed)} calls had not begun")

    def stop_redis(self) -> None:
        self.site.redis.send(signal.SIGSTOP)
        time.sleep(self.site.plan.size.silence)
        self.site.redis.send(signal.SIGCONT)

    def restart_postgres(self) -> None:
        self.site.postgres.stop(signal.SIGINT)
        self.site.postgres.start()
        # What could be closed nevertheless is not repeated.
        rows = self.site.query(RUNNING, "%")
        self.restarted += [row[:3] for row in rows]
        self.log(f"  {len(rows)} tasks were running")

    def kill_beat(self) -> None:
        os.kill(self.site.beat.popen.pid, signal.SIGKILL)


def signal_all(units: list[Unit], number: signal.Signals) -> None:
    for unit in units:
        # One that has just been killed is not up again yet.
        with suppress(ProcessLookupError):
            unit.send(number)
