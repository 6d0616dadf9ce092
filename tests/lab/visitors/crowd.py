"""Who visits the site, and what they do there. Each kind comes at its own rate, however slow the answers are."""

import asyncio
import gzip
import json
import random
import re
import ssl
import time
import zlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any, TextIO

from .client import Answer, Client

# Seconds from one to the next.
PERSON, READER, SLOW, TASKS = 1 / 2, 1 / 8, 5, 1
# How long a page stays open before what it names is fetched again.
OPEN = 30
# Up to so long, a person looks at a form before sending it.
THINKING = 5
BEAT = 0.05
STATIC = re.compile(r'(?:href|src)="(/static/[^"]+)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PASSWORD = "a long walk along the harbour"
BROKEN = (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError, zlib.error)


@dataclass(frozen=True)
class Plan:
    """`name` is the site's, `sources` are the visitors' own addresses. `hosts` serve it, each with its certificate.

    `calm` is how many times the seconds pass from one visitor to the next.
    """

    name: str
    hosts: dict[str, str]
    sources: list[str]
    run: str
    tasks: int
    calm: float = 1


class FailedError(Exception):
    """A request has failed; it is in the log, and its visitor leaves."""


@dataclass
class Crowd:
    plan: Plan
    out: TextIO
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    visits: set[asyncio.Task[None]] = field(default_factory=set)
    latest: float = 0

    def __post_init__(self) -> None:
        # One each: of two that sign themselves in the same name, OpenSSL looks at the first alone.
        self.tls = {host: ssl.create_default_context(cadata=text) for host, text in self.plan.hosts.items()}
        self.hosts, self.sources, self.numbers = cycle(self.plan.hosts), cycle(self.plan.sources), count()

    async def work(self) -> None:
        """Until told to stop; then what has begun is finished, without its pauses."""
        begun, used = time.monotonic(), time.process_time()
        kinds = {self.person: PERSON, self.reader: READER, self.slow: SLOW, self.tasks: TASKS}
        await asyncio.gather(
            *(self.every(seconds * self.plan.calm, kind) for kind, seconds in kinds.items()), self.watch_itself()
        )
        await asyncio.gather(*self.visits)
        elapsed = time.monotonic() - begun
        cpu = time.process_time() - used
        self.write(kind="end", elapsed=elapsed, cpu=cpu, late=self.latest)

    async def every(self, seconds: float, visit: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
        begun = time.monotonic()
        for number in count():
            await self.pause(begun + number * seconds - time.monotonic())
            if self.stop.is_set():
                return
            task = asyncio.create_task(self.visited(visit))
            self.visits.add(task)
            task.add_done_callback(self.visits.discard)

    async def watch_itself(self) -> None:
        """Note by how much this process was late: that is not the site's fault."""
        while not self.stop.is_set():
            begun = time.monotonic()
            await asyncio.sleep(BEAT)
            self.latest = max(self.latest, time.monotonic() - begun - BEAT)

    async def pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stop.wait(), max(0, seconds))
        except TimeoutError:
            return

    async def visited(self, visit: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
        client = self.client()
        try:
            await visit(client)
        except FailedError:
            return
        finally:
            client.close()

    def client(self) -> Client:
        host = next(self.hosts)
        return Client(self.plan.name, host, next(self.sources), self.tls[host])

    async def person(self, client: Client) -> None:
        who = f"v{self.plan.run}-{next(self.numbers)}"
        page = await self.page(client, "/accounts/register/")
        await self.pause(random.uniform(0, THINKING))  # noqa: S311
        fields = {"username": who, "email": f"{who}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        await self.send(client, page, "/accounts/register/", fields, who)
        page = await self.get(client, "/accounts/login/")
        await self.pause(random.uniform(0, THINKING))  # noqa: S311
        await self.send(client, page, "/accounts/login/", {"username": who, "password": PASSWORD}, who)
        await self.get(client, "/", shows=who)
        client.close()
        await self.look_again(STATIC.findall(page))

    async def reader(self, client: Client) -> None:
        page = await self.page(client, "/accounts/login/")
        client.close()
        await self.look_again(STATIC.findall(page))

    async def slow(self, client: Client) -> None:
        await self.get(client, "/bench/slow/", kind="slow")

    async def tasks(self, client: Client) -> None:
        await self.ask(client, "tasks", "POST", f"/bench/tasks/{self.plan.tasks}/", {})

    async def page(self, client: Client, path: str) -> str:
        page = await self.get(client, path)
        await self.files(client, STATIC.findall(page), "static")
        return page

    async def look_again(self, files: list[str]) -> None:
        """A browser that loaded the page before a switch."""
        await self.pause(OPEN)
        if self.stop.is_set():
            return
        client = self.client()
        try:
            await self.files(client, files, "old static")
        finally:
            client.close()

    async def files(self, client: Client, files: list[str], kind: str) -> None:
        for file in dict.fromkeys(files):
            await self.ask(client, kind, "GET", file)

    async def get(self, client: Client, path: str, kind: str = "page", shows: str = "") -> str:
        return await self.ask(client, kind, "GET", path, shows=shows)

    async def send(self, client: Client, page: str, path: str, fields: dict[str, str], who: str) -> None:
        token = TOKEN.search(page)
        form = {"csrfmiddlewaretoken": token[1] if token else "", **fields}
        await self.ask(client, "form", "POST", path, form, expected=302, who=who)

    async def ask(  # noqa: PLR0913, PLR0917
        self,
        client: Client,
        kind: str,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        expected: int = 200,
        shows: str = "",
        who: str = "",
    ) -> str:
        at, begun, answer, shown, error = time.time(), time.monotonic(), None, "", ""
        try:
            answer = await client.ask(method, path, form)
            shown = text(answer)
        except BROKEN as problem:
            error = f"{type(problem).__name__} {problem}".strip()
        took = time.monotonic() - begun
        if answer and answer.status != expected:
            error = f"answers {answer.status}, not {expected}"
        elif answer and shows not in shown:
            error = error or f"does not show {shows}"
        self.write(
            kind=kind,
            at=at,
            took=round(took, 4),
            method=method,
            path=path,
            host=client.host,
            status=answer.status if answer else 0,
            release=answer.headers.get("x-release", "") if answer else "",
            who=who,
            error=error,
        )
        if error:
            raise FailedError
        return shown

    def write(self, **entry: object) -> None:
        self.out.write(json.dumps(entry) + "\n")
        self.out.flush()


def text(answer: Answer) -> str:
    packed = answer.headers.get("content-encoding") == "gzip"
    return (gzip.decompress(answer.body) if packed else answer.body).decode("utf-8", "replace")
