"""What Sentry's clients talk to: takes envelopes as its ingestion does, and keeps them."""

import gzip
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of clients that end without saying goodbye."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Sentry:
    def __init__(self) -> None:
        self.raw: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.server = Server(("127.0.0.1", 0), handler(self))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def dsn(self) -> str:
        return f"http://{KEY}@127.0.0.1:{self.server.server_port}/7"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def take(self, envelope: bytes) -> None:
        self.raw.append(envelope.decode())
        for header, payload in items(envelope):
            if header["type"] == "event":
                self.events.append(payload)

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["logger"] == logger]

    @property
    def text(self) -> str:
        return "\n".join(self.raw)


def handler(sentry: Sentry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/api/7/envelope/"
            assert f"sentry_key={KEY}" in self.headers["X-Sentry-Auth"]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sentry.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing to standard error."""

    return Handler


def items(envelope: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """An envelope is a line of JSON, then for each item its header, a line, and as many bytes as that says."""
    found = []
    _, rest = envelope.split(b"\n", 1)
    while rest.strip():
        line, rest = rest.split(b"\n", 1)
        header = json.loads(line)
        payload, rest = rest[: header["length"]], rest[header["length"] :].removeprefix(b"\n")
        found.append((header, json.loads(payload)))
    return found
