"""What the contests share: Redis and PostgreSQL as they run in production, the mail server, users to write to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.processes import PYTHON, Worker, tool
from tests.chaos.site import unit_command
from tests.integration.servers import APP, ROOT, Postgres, Redis, server_folder

USERS = 20_000
INSERT_USERS = b"""
    INSERT INTO accounts_user (username, email, password, first_name, last_name,
                               is_superuser, is_staff, is_active, date_joined)
    SELECT 'user' || i, 'user' || i || '@example.org', '', '', '', false, false, true, now()
    FROM generate_series(1, %s) AS i
"""
Environment = dict[str, str]


class Sink:
    """The mail server of `tests.bench.sink`, in a process of its own."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sink"], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
        )
        self.port = int(self.line())

    def line(self) -> str:
        assert self.popen.stdout
        return self.popen.stdout.readline()

    def say(self, text: str) -> None:
        assert self.popen.stdin
        self.popen.stdin.write(f"{text}\n")
        self.popen.stdin.flush()

    def count_anew(self, delay: float) -> None:
        self.say(str(delay))

    def counted(self) -> dict[str, float]:
        self.say("")
        found: dict[str, float] = json.loads(self.line())
        return found

    def stop(self) -> None:
        assert self.popen.stdin
        self.popen.stdin.close()
        self.popen.wait(5)


class Stand:
    def __init__(self, stack: ExitStack, folder: Path, users: int) -> None:
        self.folder = folder
        self.redis = Redis(stack.enter_context(server_folder()))
        stack.callback(self.redis.stop)
        self.redis.client().config_set("appendfsync", "everysec")
        self.postgres = Postgres(stack.enter_context(server_folder()), fsync=True)
        stack.callback(self.postgres.stop, signal.SIGINT)
        self.sink = Sink()
        stack.callback(self.sink.stop)
        self.ours = variables(self, "config.settings")
        self.plain = variables(self, "tests.bench.plain.settings")
        self.manage(self.ours, "migrate", "--verbosity=0")
        self.manage(self.ours, "collectstatic", "--noinput", "--verbosity=0")
        with self.postgres.connect() as connection:
            connection.execute(INSERT_USERS, [users])
            connection.execute("ANALYZE accounts_user")

    def manage(self, environment: Environment, *arguments: str) -> None:
        subprocess.run([PYTHON, "manage.py", *arguments], cwd=APP, env=environment, check=True)

    def empty(self) -> None:
        """Of what earlier contestants left."""
        self.empty_redis()
        with self.postgres.connect() as connection:
            connection.execute("TRUNCATE core_taskrecord, core_deadletter")

    def empty_redis(self) -> None:
        """As if a sweeper had seen to that: else the first to come publishes all once more."""
        client = self.redis.client()
        client.flushall()
        client.set("saas:durable:server", client.info("server")["run_id"])

    def run(self, environment: Environment, module: str, *arguments: object) -> dict[str, Any]:
        """What one of this package's scripts prints."""
        command = [PYTHON, "-m", f"tests.bench.{module}", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def start(self, name: str, command: list[str], environment: Environment) -> Worker:
        return Worker(tool(command), self.folder / f"{name}.log", environment, cwd=ROOT)


def variables(stand: Stand, settings: str) -> Environment:
    limits = product(("LOGIN", "REGISTER", "RESET"), ("ADDRESS", "ACCOUNT"))
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{APP}:{ROOT}",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": settings,
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "a-key-for-the-bench-that-is-long-enough-to-be-taken-for-a-real-one",
        "ALLOWED_HOSTS": "example.org",
        "SITE_URL": "https://example.org",
        "DATABASE_URL": stand.postgres.url,
        "CELERY_BROKER_URL": stand.redis.url(0),
        "CELERY_RESULT_BACKEND": stand.redis.url(1),
        "EMAIL_URL": f"smtp://127.0.0.1:{stand.sink.port}",
        "DEFAULT_FROM_EMAIL": "Django SaaS <noreply@example.org>",
        "LOGS_DIR": str(stand.folder / "logs"),
        **{f"RATE_LIMIT_{page}_PER_{what}": "0" for page, what in limits},
    }


def unit(name: str, *more: str, **values: str) -> list[str]:
    """The ExecStart of a unit file; what it is given besides wins over what it says."""
    return [*unit_command(name, **values), *more]


@contextmanager
def standing(users: int = USERS) -> Iterator[Stand]:
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="saas-bench-", ignore_cleanup_errors=True))
        yield Stand(stack, Path(folder), users)
