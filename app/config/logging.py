"""The values of LOG_STRATEGY: where records go, and at which level."""

import logging
import os
import re
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from config.env import WrongSetting

STRATEGIES = ("console", "pid")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMAT = {
    "()": "config.logging.Line",
    "fmt": "[%(levelname)s] %(asctime)s %(name)s - %(message)s",
    "datefmt": "%Y-%m-%d %H:%M:%S",
}

RESET_LINK = re.compile(r"(/accounts/reset/[^/\s]+/)[^/\s]+")


class Line(logging.Formatter):
    """Masks the links that reset a password, wherever in a line or traceback: whoever reads one can use it."""

    def format(self, record: logging.LogRecord) -> str:
        return RESET_LINK.sub(r"\1***", super().format(record))


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


class ProcessFileHandler(RotatingFileHandler):
    """One file per process: a forked child gets its own name, since a shared rotating file loses lines."""

    def __init__(self, folder: str, stem: str) -> None:
        self.folder, self.stem = Path(folder), stem
        super().__init__(self.path(), maxBytes=10_000_000, backupCount=10, delay=True, encoding="utf-8")
        os.register_at_fork(after_in_child=self.leave_parents_file)

    def path(self) -> str:
        return str(self.folder.resolve() / f"{self.stem}-{os.getpid()}.log")

    def leave_parents_file(self) -> None:
        self.close()
        self.baseFilename = self.path()


def handlers(strategy: str, folder: Path, celery_level: str) -> dict[str, Any]:
    if strategy == "console":
        return {"console": console()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongSetting(f"LOGS_DIR must be a folder that is there or can be made: {error.strerror}.") from None
    file = {"()": ProcessFileHandler, "folder": str(folder), "formatter": "line"}
    return {
        "console": console(),
        "worker": {**file, "stem": "celery_worker", "level": celery_level},
        "errors": {**file, "stem": "celery_errors", "level": "ERROR"},
    }


def build(strategy: str, folder: Path, django: str, celery: str, task: str) -> dict[str, Any]:
    """Return Django's LOGGING; `django`, `celery` and `task` are the levels of these loggers."""
    used = handlers(strategy, folder, celery)
    ours = {"level": django}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": FORMAT},
        "filters": {"identifiers": {"()": "core.identifiers.Identifiers"}},
        "handlers": {name: {**handler, "filters": ["identifiers"]} for name, handler in used.items()},
        "root": {"handlers": list(used), "level": "WARNING"},
        "loggers": {
            "django": {"level": django, "handlers": [], "propagate": True},
            "core": ours,
            "accounts": ours,
            "celery": {"level": celery},
            "celery.task": {"level": task},
            "gunicorn": ours,
            # Where Gunicorn has put handlers of its own.
            "gunicorn.error": {"handlers": [], "propagate": True},
            "gunicorn.access": {"handlers": [], "propagate": True},
            # It tells of every request that it has one.
            "django_guid": {"level": "WARNING"},
        },
    }
