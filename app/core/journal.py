"""Records for journald by its own protocol: real priorities, whole tracebacks, fields to filter by."""

import logging
from collections.abc import Iterator

from logging_journald import JournaldTransport

from core.identifiers import NAMES

# syslog's numbers; what lies between two of Python's levels counts as the lower one.
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
DEBUG = 7


class JournalHandler(logging.Handler):
    def __init__(self, identifier: str) -> None:
        super().__init__()
        self.identifier = identifier
        self.transport = JournaldTransport()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.transport.send(self.fields(record))
        except Exception:
            self.handleError(record)

    def fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", str(next((number for level, number in PRIORITIES if record.levelno >= level), DEBUG))
        yield "SYSLOG_IDENTIFIER", self.identifier
        yield "LOGGER", record.name
        yield "CODE_FILE", record.pathname
        yield "CODE_LINE", str(record.lineno)
        yield "CODE_FUNC", record.funcName or ""
        for name in NAMES:
            if value := getattr(record, name, ""):
                yield name.upper(), str(value)
