"""The distribution's servers and this project's processes, on free ports, ended with the tests that start them."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
BIN = Path(sys.executable).parent


def free_port() -> int:
    """Below those that the system gives to clients: one of these could hold it when a server is started again."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def program(name: str, package: str, places: str = "/usr/lib/postgresql/*/bin") -> str:
    found = shutil.which(name) or next((str(path) for path in Path("/").glob(f"{places[1:]}/{name}")), None)
    if found is None:
        pytest.fail(f"{name} is missing here: install the Debian package {package}.", pytrace=False)
    return found


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"Not within {seconds} s: {what}")
        time.sleep(0.05)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of loopback that drops packets, as a firewall would: its listener's queue is full."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class SilentRedis:
    """Takes connections and says nothing on them."""

    def __enter__(self) -> "SilentRedis":
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.listener.setblocking(False)
        return self

    def __exit__(self, *error: object) -> None:
        self.listener.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    def asked(self) -> int:
        """How many connections there were since the last call."""
        count = 0
        with suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                count += 1
        return count


def tied() -> list[str]:
    """What makes a command end with the tests, even when these are killed."""
    return [program("setpriv", "util-linux"), "--pdeathsig", "KILL"]


def unprivileged(user: str) -> list[str]:
    """What makes a command, besides, run as `user`: PostgreSQL refuses to be root."""
    ids = ["--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"] if os.getuid() == 0 else []
    return [*tied(), *ids]


class Process:
    """A process with its output in a file."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path = APP) -> None:
        self.command, self.log, self.env, self.cwd = command, log, env, cwd
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                self.command, stdout=output, stderr=output, env=self.env, cwd=self.cwd, start_new_session=True
            )

    def send(self, number: signal.Signals) -> None:
        # The whole session: a stopped server must not be served by its children.
        os.killpg(self.popen.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.popen.poll() is not None:
            return
        self.send(signal.SIGCONT)
        self.popen.send_signal(number)
        try:
            self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.popen.wait(5)

    def output(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def server_folder() -> Iterator[Path]:
    """Not among pytest's own folders, which every run of pytest on this machine closes to other users."""
    with TemporaryDirectory(prefix="saas-tests-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


class Redis(Process):
    def __init__(self, folder: Path) -> None:
        give_to("redis", folder)
        self.port = free_port()
        flags = [word for name, value in self.options(folder).items() for word in (f"--{name}", str(value))]
        super().__init__([*unprivileged("redis"), program("redis-server", "redis-server"), *flags], folder / "log")

    def options(self, folder: Path) -> dict[str, object]:
        return {"port": self.port, "bind": "127.0.0.1", "dir": folder, "appendonly": "yes", "save": ""}

    def start(self) -> None:
        super().start()
        wait_until(self.answers, "Redis answers")

    def url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int = 0) -> redis.Redis:
        return redis.Redis(port=self.port, db=database, socket_timeout=5, decode_responses=True)

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False


class Postgres(Process):
    def __init__(self, folder: Path, fsync: bool = False) -> None:
        self.port, self.password, data = free_port(), token_hex(), folder / "data"
        # Without one, anybody on this machine could run commands through this server.
        (folder / "password").write_text(self.password)
        give_to("postgres", folder)
        user = unprivileged("postgres")
        scram = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
        initdb = [program("initdb", "postgresql"), *scram, "-U", "saas", "-D", str(data)]
        subprocess.run([*user, *initdb], check=True, capture_output=True, cwd=folder)
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        postgres = [
            program("postgres", "postgresql"),
            "-D",
            str(data),
            *flags,
            "-c",
            f"fsync={'on' if fsync else 'off'}",
            # The playbook's: threads of workers keep one each.
            "-c",
            "max_connections=420",
        ]
        super().__init__([*user, *postgres], folder / "log", cwd=folder)

    def start(self) -> None:
        super().start()
        wait_until(self.answers, "PostgreSQL answers")

    @property
    def url(self) -> str:
        return f"postgres://saas:{self.password}@127.0.0.1:{self.port}/postgres"

    def answers(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True, connect_timeout=2)


def give_to(user: str, folder: Path) -> None:
    """Let a server that is not root reach its folder, which root's temporary folders hide."""
    if os.getuid() == 0:
        shutil.chown(folder, user)
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
