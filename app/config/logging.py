"""The values of LOG_STRATEGY: where records go, and at which level. docs/logging.md compares them."""

import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from pathlib import Path
from typing import Any

from concurrent_log_handler import ConcurrentRotatingFileHandler
from django.utils.module_loading import import_string

from config.env import WrongSetting
from core import unwritten
from core.logfiles import ProcessFileHandler, ProcessQueueHandler

ROTATE_ALONE = (RotatingFileHandler, TimedRotatingFileHandler)
ROTATE_TOGETHER = (ProcessFileHandler, ConcurrentRotatingFileHandler)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMAT = {
    "()": "config.logging.Line",
    "fmt": "[%(levelname)s] %(asctime)s %(name)s - %(message)s",
    "datefmt": "%Y-%m-%d %H:%M:%S",
}

RESET_LINK = re.compile(r"(/reset/+[^/\s]+/+)[^/\s]+")
# What would begin a line of its own, or speak to a terminal.
CONTROLS = {number: f"\\x{number:02x}" for number in (*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0))}
# A traceback has lines of its own.
IN_TRACEBACK = {number: text for number, text in CONTROLS.items() if number != ord("\n")}

# Of every handler, the standard library's too; assigning to a method is what mypy minds.
logging.Handler.handleError = unwritten.tell  # type: ignore[assignment, method-assign]


class Line(logging.Formatter):
    """Masks the links that reset a password, wherever in a line or traceback: whoever reads one can use it.

    A message stays one line, whatever a visitor has put into it. What is no character at all, a lone surrogate, is
    written as such: no place takes it, and the error about that would show everything unmasked.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).translate(IN_TRACEBACK)
        return RESET_LINK.sub(r"\1***", text.encode(errors="backslashreplace").decode())

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return super().formatMessage(record).translate(CONTROLS)


class StrangersFault(logging.Filter):
    """Lowers an error that anybody can cause, and that has no cause in the code, to a warning of one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
        return True


Handlers = dict[str, dict[str, Any]]
# dictConfig makes handlers in the order of their names: what hands on to the others must be made last.
LAST = "writer"


@dataclass(frozen=True)
class Place:
    """Where the strategies write. `celery` is the level of a worker's file, `size` that of a file in bytes."""

    folder: Path
    celery: str = "ERROR"
    size: int = 10_000_000
    kept: int = 10
    syslog: str = "/dev/log"
    sentry_dsn: str = ""
    release: str = ""

    @property
    def shared_file(self) -> dict[str, Any]:
        return {"filename": str(self.folder / "saas.log"), "encoding": "utf-8", "formatter": "line"}


def console() -> dict[str, Any]:
    """Standard output. Where that is the journal, its own protocol: it keeps priorities and whole tracebacks."""
    if not stdout_is_journal():
        return {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}
    return {
        "class": "core.journal.JournalHandler",
        "formatter": "line",
        "identifier": Path(sys.argv[0]).name,
    }


def stdout_is_journal() -> bool:
    """systemd names the stream it gave the unit; a child whose output goes elsewhere inherits the name alone."""
    stdout = os.fstat(1)
    return os.environ.get("JOURNAL_STREAM") == f"{stdout.st_dev}:{stdout.st_ino}"


def console_alone(place: Place) -> Handlers:
    return {"console": console()}


def pid(place: Place) -> Handlers:
    sizes = {"size": place.size, "kept": place.kept}
    file = {"()": ProcessFileHandler, "folder": str(place.folder), **sizes, "formatter": "line"}
    return {
        "console": console(),
        "worker": {**file, "stem": "celery_worker", "level": place.celery},
        "errors": {**file, "stem": "celery_errors", "level": "ERROR"},
    }


def concurrent(place: Place) -> Handlers:
    sizes = {"maxBytes": place.size, "backupCount": place.kept}
    return {"file": {"class": "concurrent_log_handler.ConcurrentRotatingFileHandler", **place.shared_file, **sizes}}


def file(place: Place) -> Handlers:
    """Opens the file anew when logrotate has moved it; one that logrotate copies and truncates stays open."""
    return {"file": {"class": "logging.handlers.WatchedFileHandler", **place.shared_file}}


def queue(place: Place) -> Handlers:
    """What `pid` writes, but a thread of each process writes it."""
    targets = pid(place)
    return {**targets, LAST: {"()": ProcessQueueHandler, **{name: f"cfg://handlers.{name}" for name in targets}}}


def syslog(place: Place) -> Handlers:
    # Syslog takes what stands before the colon for the program's name.
    attributes = {"ident": f"{Path(sys.argv[0]).name}: ", "append_nul": False}
    handler = {"class": "logging.handlers.SysLogHandler", "address": place.syslog, "facility": "local0"}
    return {"syslog": {**handler, ".": attributes, "formatter": "line"}}


def sentry(place: Place) -> Handlers:
    """SENTRY_DSN adds Sentry to every strategy; this one insists on it."""
    if not place.sentry_dsn:
        raise WrongSetting("LOG_STRATEGY=sentry needs SENTRY_DSN.")
    return console_alone(place)


def errors_to_sentry(place: Place) -> Handlers:
    sender = {"()": "core.sentry.SentryHandler", "dsn": place.sentry_dsn, "release": place.release, "level": "ERROR"}
    return {"sentry": sender} if place.sentry_dsn else {}


STRATEGIES: dict[str, Callable[[Place], Handlers]] = {
    "console": console_alone,
    "pid": pid,
    "concurrent": concurrent,
    "file": file,
    "queue": queue,
    "syslog": syslog,
    "sentry": sentry,
}
WRITE_FILES = ("pid", "concurrent", "file", "queue")


def make_folder(strategy: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if strategy in WRITE_FILES:
            raise WrongSetting(f"LOGS_DIR must be a folder that is there or can be made: {error.strerror}.") from None


def build(strategy: str, place: Place, django: str, task: str) -> dict[str, Any]:
    """Return Django's LOGGING; `django` and `task` are levels of loggers, `place.celery` is one more."""
    make_folder(strategy, place.folder)
    used = STRATEGIES[strategy](place)
    first, errors = [LAST] if LAST in used else list(used), errors_to_sentry(place)
    ours = {"level": django}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": FORMAT},
        "filters": {
            "identifiers": {"()": "core.identifiers.Identifiers"},
            "strangers_fault": {"()": StrangersFault},
        },
        "handlers": {name: {**handler, "filters": ["identifiers"]} for name, handler in (used | errors).items()},
        "root": {"handlers": [*first, *errors], "level": "WARNING"},
        "loggers": {
            "django": {"level": django, "handlers": [], "propagate": True},
            "django.security.DisallowedHost": {"filters": ["strangers_fault"]},
            "core": ours,
            "accounts": ours,
            "celery": {"level": place.celery},
            # What the worker's pool says of its processes. It keeps this logger from propagating.
            "multiprocessing": {"handlers": [*first, *errors], "propagate": False},
            "celery.task": {"level": task},
            "gunicorn": ours,
            # Where Gunicorn has put handlers of its own.
            "gunicorn.error": {"handlers": [], "propagate": True},
            "gunicorn.access": {"handlers": [], "propagate": True},
            # It tells of every request that it has one.
            "django_guid": {"level": "WARNING"},
        },
    }


def refuse_shared_rotation(config: dict[str, Any]) -> None:
    for handler in config["handlers"].values():
        made_by = handler.get("class") or handler.get("()")
        kind = import_string(made_by) if isinstance(made_by, str) else made_by
        if isinstance(kind, type) and issubclass(kind, ROTATE_ALONE) and not issubclass(kind, ROTATE_TOGETHER):
            raise WrongSetting(
                f"LOGGING must not have a {kind.__name__}: processes that share a rotating file lose lines. "
                "Use LOG_STRATEGY=pid, concurrent or file."
            )
