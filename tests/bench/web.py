"""Gunicorn as its unit file runs it, and clients that keep their connection, as nginx does."""

import http.client
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.processes import Worker
from tests.bench.stand import Environment, Stand, unit
from tests.chaos.site import unit_environment
from tests.integration.servers import free_port, listening, wait_until

# The playbook's default, from the number of cores.
PROCESSES = (os.cpu_count() or 1) + 1
THREADS = 4
PASSWORD = "correct horse 7"
HEADERS = {"Host": "example.org", "X-Forwarded-Proto": "https", "Referer": "https://example.org/"}


@dataclass
class Web:
    process: Worker
    port: int


@contextmanager
def gunicorn(stand: Stand, environment: Environment, application: str = "config.wsgi") -> Iterator[Web]:
    port = free_port()
    command = unit("gunicorn@.service", f"--bind=127.0.0.1:{port}", WEB_THREADS=str(THREADS))
    command = [application if word == "config.wsgi" else word for word in command]
    if application.startswith("tests.bench.plain"):
        command = [word for word in command if word not in ("--config", "python:config.gunicorn")]
    environment = {**environment, **unit_environment("gunicorn@.service"), "WEB_CONCURRENCY": str(PROCESSES)}
    process = stand.start(f"web-{application}", command, environment)
    try:
        wait_until(lambda: listening(port), "Gunicorn listens", 30)
        yield Web(process, port)
    finally:
        process.end()


class Client:
    def __init__(self, port: int, cookies: dict[str, str] | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookies = dict(cookies or {})

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        headers = {**HEADERS, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self.answer(method, path, urlencode(form or {}), headers)
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.read().decode()

    def answer(self, method: str, path: str, body: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        try:
            self.connection.request(method, path, body or None, headers)
            return self.connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError):
            # Gunicorn has closed it, after two seconds without a request or when a process had its last one.
            self.connection.close()
            self.connection.request(method, path, body or None, headers)
            return self.connection.getresponse()

    def token(self, path: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.ask("GET", path)[1])
        assert found, path
        return found[1]


@dataclass
class Load:
    """What so many clients see who ask again as soon as they are answered."""

    seconds: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    def add(self, request: Callable[[], int], wanted: int) -> None:
        begun = time.perf_counter()
        status = request()
        self.seconds.append(time.perf_counter() - begun)
        if status != wanted:
            self.failures.append(status)

    def join(self, other: "Load") -> None:
        self.seconds += other.seconds
        self.failures += other.failures


def keep_asking(requests: list[Callable[[], int]], wanted: int, seconds: float) -> Load:
    load, end = Load(), time.monotonic() + seconds

    def work(request: Callable[[], int]) -> None:
        while time.monotonic() < end:
            load.add(request, wanted)

    threads = [threading.Thread(target=work, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load
