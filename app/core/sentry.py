"""Errors for Sentry: what failed, where in the code, and the identifiers that find it in the logs; nobody's data."""

import logging
import os
import re
from typing import Any

from sentry_sdk import Client
from sentry_sdk.utils import event_from_exception

from core.durable.masking import MASK, mask_text
from core.identifiers import NAMES

CREDENTIALS = re.compile(r"://[^\s/]*@")
ADDRESS = re.compile(r"[^\s@<>()\[\]{}\"',;:=]+@[^\s@<>()\[\]{}\"',;:=]+\.[^\s@<>()\[\]{}\"',;:=]+")
# PostgreSQL quotes the row that broke a rule.
DETAIL = re.compile(r"^(DETAIL:  ).*", re.MULTILINE)
LEVELS = {logging.CRITICAL: "fatal"}


def masked(text: str) -> str:
    text = CREDENTIALS.sub(f"://{MASK}@", mask_text(text))
    return DETAIL.sub(rf"\1{MASK}", ADDRESS.sub(MASK, text))


class SentryHandler(logging.Handler):
    """Sends from a thread of its own, so that nobody waits for Sentry; while it is away, events are dropped.

    Without the SDK's integrations: they would add requests, variables and what was logged before.
    """

    def __init__(self, dsn: str, release: str) -> None:
        super().__init__()
        self.project: dict[str, Any] = {"dsn": dsn, "release": release}
        self.connect()
        # A child must not share its parent's connection.
        os.register_at_fork(before=self.pause, after_in_parent=self.release, after_in_child=self.connect)

    def connect(self) -> None:
        self.client = Client(
            **self.project,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            include_local_variables=False,
            spotlight=False,
        )

    def pause(self) -> None:
        """Let the sending thread finish: a child would wait for ever for a module that this one is importing."""
        self.acquire()
        self.client.flush(timeout=1)

    def emit(self, record: logging.LogRecord) -> None:
        # The SDK tells of its own troubles.
        if record.name.startswith(("sentry_sdk", "urllib3")):
            return
        try:
            self.client.capture_event(self.event(record))
        except Exception:
            self.handleError(record)

    def event(self, record: logging.LogRecord) -> Any:
        event: Any = {}
        if record.exc_info and record.exc_info[0]:
            event, _ = event_from_exception(record.exc_info, self.client.options, {"type": "logging", "handled": True})
            for exception in event["exception"]["values"]:
                exception["value"] = masked(exception["value"] or "")
        return event | {
            "level": LEVELS.get(record.levelno, "error"),
            "logger": record.name,
            "logentry": {"message": masked(str(record.msg)), "formatted": masked(record.getMessage())},
            "tags": {name: value for name in NAMES if (value := getattr(record, name, ""))},
        }

    def flush(self) -> None:
        self.client.flush()
