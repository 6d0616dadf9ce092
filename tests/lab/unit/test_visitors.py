"""The visitors' HTTP against a server that answers as it is told to, byte for byte."""

import asyncio
import io
import json
from contextlib import suppress

import pytest

from tests.lab.visitors.client import Answer, Client
from tests.lab.visitors.crowd import Crowd, FailedError, Plan

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Release: abc\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
UNBOUNDED = b"HTTP/1.1 200 OK\r\n\r\nhello"
COOKIE = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nSet-Cookie: a=b; Path=/\r\n\r\n"
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"
CUT_OFF_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"
NO_HTTP = b"SSH-2.0-OpenSSH_9.2\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
DOWN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
NOT_GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"


async def served(*answers: bytes) -> tuple[asyncio.Server, int, list[bytes]]:
    """One connection gets all of them, one after the other, and is closed."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], asked


async def exchange(*answers: bytes) -> tuple[list[Answer], list[bytes]]:
    server, port, asked = await served(*answers)
    client = Client("site.test", "127.0.0.1", port=port)
    async with server:
        got = [await client.ask("GET", "/") for _ in answers]
        client.close()
    return got, asked


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, UNBOUNDED])
def test_it_reads_each_kind_of_body(answer: bytes) -> None:
    (got,), _ = asyncio.run(exchange(answer))

    assert (got.status, got.body) == (200, b"hello")


def test_it_keeps_the_connection_and_sends_cookies_back() -> None:
    _, asked = asyncio.run(exchange(COOKIE, PLAIN))

    assert b"Cookie: a=b\r\n" in asked[1]


async def noted(answer: bytes, closed: bool = False) -> dict[str, object]:
    """What the log has of one request."""
    server, port, _ = await served(answer)
    out = io.StringIO()
    crowd = Crowd(Plan("site.test", {"127.0.0.1": ""}, [""], "run", 1), out)
    if closed:
        server.close()
        await server.wait_closed()
    with suppress(FailedError):
        await crowd.ask(Client("site.test", "127.0.0.1", port=port), "page", "GET", "/")
    server.close()
    (line,) = out.getvalue().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_it_notes_the_release_that_answered() -> None:
    entry = asyncio.run(noted(PLAIN))

    assert (entry["status"], entry["release"], entry["error"]) == (200, "abc", "")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (TOO_MANY, "answers 429, not 200"),
        (DOWN, "answers 502, not 200"),
        (COOKIE, "answers 302, not 200"),
        (CUT_OFF, "IncompleteReadError"),
        (CUT_OFF_CHUNK, "IncompleteReadError"),
        (b"", "IncompleteReadError"),
        (NO_HTTP, "ValueError"),
        (NOT_GZIP, "BadGzipFile"),
    ],
)
def test_it_notes_what_fails(answer: bytes, error: str) -> None:
    assert str(asyncio.run(noted(answer))["error"]).startswith(error)


def test_it_notes_a_refused_connection() -> None:
    assert "ConnectionRefusedError" in str(asyncio.run(noted(PLAIN, closed=True))["error"])


def test_a_connection_that_was_closed_meanwhile_is_a_failure_and_not_tried_again() -> None:
    async def twice() -> None:
        server, port, _ = await served(PLAIN)
        client = Client("site.test", "127.0.0.1", port=port)
        async with server:
            await client.ask("GET", "/")
            await client.ask("GET", "/")

    with pytest.raises((EOFError, OSError)):
        asyncio.run(twice())
