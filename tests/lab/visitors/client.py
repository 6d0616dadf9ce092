"""As much of HTTP as the load needs, and no more: the machine that is measured pays for it.

No library that sends a request again when a connection was closed under it: that is what is to be seen.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

SECONDS = 30
EMPTY = (204, 304)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


@dataclass
class Client:
    """One connection at a time, from an address of its own, with the cookies of one person."""

    name: str
    host: str
    source: str = ""
    tls: ssl.SSLContext | None = None
    port: int = 443
    cookies: dict[str, str] = field(default_factory=dict)
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """Raises OSError, EOFError, ValueError or TimeoutError; the connection is gone then."""
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self.exchange(request(method, path, self.headers(path, form), form))
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        self.remember(answer.cookies)
        return answer

    async def exchange(self, message: bytes) -> Answer:
        reader, writer = self.stream = self.stream or await self.connect()
        writer.write(message)
        await writer.drain()
        return await answered(reader)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        local = (self.source, 0) if self.source else None
        named = self.name if self.tls else None
        return await asyncio.open_connection(
            self.host, self.port, ssl=self.tls, server_hostname=named, local_addr=local
        )

    def headers(self, path: str, form: dict[str, str] | None) -> dict[str, str]:
        headers = {"Host": self.name, "Accept-Encoding": "gzip", "User-Agent": "visitors"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if form is not None:
            # As a browser that sends the form of the page at the same path.
            headers["Referer"] = f"https://{self.name}{path}"
        return headers

    def remember(self, cookies: list[str]) -> None:
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name.strip()] = value.strip()

    def close(self) -> None:
        if self.stream:
            with suppress(OSError):
                self.stream[1].close()
            self.stream = None


def request(method: str, path: str, headers: dict[str, str], form: dict[str, str] | None) -> bytes:
    body = urlencode(form).encode() if form is not None else b""
    if method == "POST":
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answered(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    status, headers = int(first[9:12]), dict(pairs)
    cookies = [value for name, value in pairs if name == "set-cookie"]
    return Answer(status, headers, cookies, await body(reader, status, headers))


async def body(reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> bytes:
    if status in EMPTY:
        return b""
    if headers.get("transfer-encoding") == "chunked":
        return await chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    headers["connection"] = "close"
    return await reader.read()


async def chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)
