"""Carries the plan's faults out, and shows what they hit."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.plan import Fault
from tests.chaos.site import Site, Unit

RUNNING = """
    SELECT id, task, attempts FROM core_taskrecord WHERE state = 'running' AND worker LIKE %s
"""
STILL = "SELECT count(*) FROM core_taskrecord WHERE id = %s AND state = 'running' AND attempts = %s"


@dataclass
class Saboteur:
    site: Site
    log: Callable[[str], None]
    # Runs cut off by a kill, and runs that were under way when the database restarted.
    interrupted: int = 0
    during_restart: int = 0
    kills: int = 0
    # Of each run that was hit: the record's id, the number of the attempt, and when, by the database's clock.
    hits: list[tuple[Any, int, Any]] = field(default_factory=list)

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
        """Wait for a task to run in that worker, then kill; one that ended in that instant does not count."""
        unit = self.site.workers[name]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            running = self.running(unit)
            if running:
                self.strike(unit, how)
                hit = [row for row in running if self.site.query(STILL, row[0], row[2]) == [(1,)]]
                self.kills += 1
                if hit:
                    self.interrupted += len(hit)
                    moment = self.site.query("SELECT now()")[0][0]
                    self.hits += [(key, attempt, moment) for key, _, attempt in hit]
                    self.log("  hit while running: " + ", ".join(f"{task}[{key}]" for key, task, _ in hit))
                    return
                self.log("  the task was quicker; once more")
                time.sleep(4)
            time.sleep(0.005)
        raise AssertionError(f"No task ran in {name} for a minute")

    def running(self, unit: Unit) -> list[tuple[str, str, int]]:
        return self.site.query(RUNNING, f"%/{unit.popen.pid}/%")

    def strike(self, unit: Unit, how: str) -> None:
        if how == "whole":
            os.kill(unit.popen.pid, signal.SIGKILL)
            unit.popen.wait(5)
            return
        for pid in unit.children():
            os.kill(pid, signal.SIGKILL)

    def kill_redis(self) -> None:
        self.site.redis.send(signal.SIGKILL)
        self.site.redis.popen.wait(5)
        time.sleep(1)
        self.site.redis.start()

    def flush_redis(self) -> None:
        client = self.site.redis.client()
        keys = client.dbsize()
        client.flushall()
        self.log(f"  {keys} keys are gone")

    def stop_redis(self) -> None:
        self.site.redis.send(signal.SIGSTOP)
        time.sleep(self.site.plan.size.silence)
        self.site.redis.send(signal.SIGCONT)

    def restart_postgres(self) -> None:
        rows = self.site.query("SELECT count(*) FROM core_taskrecord WHERE state = 'running'")
        self.during_restart += rows[0][0]
        self.log(f"  {rows[0][0]} tasks were running")
        self.site.postgres.stop(signal.SIGINT)
        self.site.postgres.start()

    def kill_beat(self) -> None:
        os.kill(self.site.beat.popen.pid, signal.SIGKILL)
