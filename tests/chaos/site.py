"""The whole service in processes: the distribution's servers, Gunicorn, the workers of the unit file, Beat."""

import asyncio
import os
import random
import re
import shlex
import signal
import threading
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.chaos.plan import Plan
from tests.integration.conftest import manage
from tests.integration.mailbox import Mailbox
from tests.integration.servers import BIN, ROOT, Postgres, Process, Redis, free_port, listening, tied, wait_until

UNITS = ROOT / "deploy/systemd"
# As the playbook lays them out, with a second host's.
WORKERS = {"email@a": "email", "email@b": "email", "celery@a": "celery,dead_letter"}
POOLS = {"email": ("threads", "20"), "celery": ("prefork", "2")}
RESTART_SECONDS = 2


class Post(Mailbox):
    """Takes a while over each mail, so that a kill can land in the middle, and answers as the plan says."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.attempts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.plan = plan
        self.answer = self.as_planned

    def as_planned(self, address: str) -> str | None:
        self.attempts[address] += 1
        answer = self.plan.answer(address, self.attempts[address])
        if answer:
            self.refusals[answer[:3]] += 1
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Either before or after the mail counts as delivered, as the final dot may be lost or its answer."""
        await asyncio.sleep(random.uniform(0.02, 0.1))  # noqa: S311
        answer = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(random.uniform(0.02, 0.1))  # noqa: S311
        return answer


class Unit(Process):
    """A process that is started again, as systemd would, two seconds after it died."""

    def keep_up(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            if self.popen.poll() is not None and not stopped.wait(RESTART_SECONDS):
                self.kill_rest()
                self.start()
            stopped.wait(0.2)

    def kill_rest(self) -> None:
        try:
            self.send(signal.SIGKILL)
        except ProcessLookupError:
            return

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


class Site:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self.folder, self.plan = folder, plan
        self.ended = threading.Event()
        self.redis = Redis(self.made("redis"))
        self.redis.client().config_set("appendfsync", "everysec")
        self.postgres = Postgres(self.made("postgres"))
        self.post = Post(plan)
        self.environment = self.variables()
        manage(self.environment, "migrate", "--verbosity=0")
        manage(self.environment, "collectstatic", "--noinput", "--verbosity=0")
        self.port = free_port()
        self.web = self.unit("web", gunicorn(self.port))
        self.workers = {name: self.unit(name, worker(name)) for name in WORKERS}
        self.beat = self.unit("beat", self.command("celery-beat.service", STATE_DIRECTORY=str(self.made("beat"))))
        for unit in (self.web, *self.workers.values(), self.beat):
            threading.Thread(target=unit.keep_up, args=[self.ended], daemon=True).start()

    def made(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

    def variables(self) -> dict[str, str]:
        limits = product(("LOGIN", "REGISTER", "RESET"), ("ADDRESS", "ACCOUNT"))
        return {
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": "a-key-for-tests-that-is-long-enough-to-be-taken-for-a-real-one",
            "ALLOWED_HOSTS": "example.org",
            "SITE_URL": "https://example.org",
            "DATABASE_URL": self.postgres.url,
            "CELERY_BROKER_URL": self.redis.url(0),
            "CELERY_RESULT_BACKEND": self.redis.url(1),
            "CELERY_TASK_DEFAULT_RETRY_DELAY": "1",
            "CELERY_TASK_MAX_RETRIES": "8",
            "EMAIL_URL": self.post.url,
            "EMAIL_TIMEOUT": "5",
            "CELERY_LOG_LEVEL": "INFO",
            "DEFAULT_FROM_EMAIL": "Django SaaS <noreply@example.org>",
            "LOGS_DIR": str(self.made("logs")),
            **{f"RATE_LIMIT_{page}_PER_{what}": "0" for page, what in limits},
        }

    def unit(self, name: str, command: list[str]) -> Unit:
        return Unit([*tied(), *command], self.folder / f"{name}.log", self.environment)

    def command(self, unit: str, **variables: str) -> list[str]:
        return unit_command(unit, **variables)

    def wait_until_up(self) -> None:
        wait_until(lambda: listening(self.port), "Gunicorn listens", 30)
        for name, unit in self.workers.items():
            wait_until(lambda unit=unit: " ready." in unit.output(), f"{name} is ready", 30)  # type: ignore[misc]

    def query(self, sql: str, *values: Any) -> list[Any]:
        with self.postgres.connect() as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def stop(self) -> None:
        self.ended.set()
        time.sleep(0.3)
        for process in (self.beat, *self.workers.values(), self.web):
            process.kill_rest()
        self.post.controller.stop()
        self.redis.stop()
        self.postgres.stop(signal.SIGINT)


def unit_command(unit: str, **variables: str) -> list[str]:
    """The ExecStart of a unit file, with this checkout's programs."""
    text = (UNITS / unit).read_text().replace("\\\n", " ")
    found = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert found, unit
    line = found[1]
    for name, value in variables.items():
        line = line.replace(f"${{{name}}}", value).replace(name, value)
    program, *rest = shlex.split(line)
    return [str(BIN / Path(program).name), *rest]


def unit_environment(unit: str) -> dict[str, str]:
    """What the unit file itself sets."""
    return dict(re.findall(r"^Environment=(\w+)=(.*)$", (UNITS / unit).read_text(), re.MULTILINE))


def worker(name: str) -> list[str]:
    instance, _, host = name.partition("@")
    pool, concurrency = POOLS[instance]
    values = {"QUEUES": WORKERS[name], "POOL": pool, "CONCURRENCY": concurrency, "%i": instance, "%H": host}
    return unit_command("celery-worker@.service", **values)


def gunicorn(port: int) -> list[str]:
    options = ["-b", f"127.0.0.1:{port}", "-w", "2", "--threads", "4", "--no-control-socket"]
    return [str(BIN / "gunicorn"), "config.wsgi", *options]
