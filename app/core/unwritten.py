"""What is said of a record that could not be written: on a full disk, to a journal that is gone."""

import logging
import sys
from contextlib import suppress


def tell(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Name its place in the code and what went wrong, on standard error.

    Python's own `handleError` shows the arguments and the exception that was logged: of Gunicorn's access line,
    all headers of the request.
    """
    if not logging.raiseExceptions or sys.stderr is None:
        return
    error = sys.exc_info()[1]
    with suppress(OSError):
        print(
            f"A record of {record.name} ({record.pathname}:{record.lineno}) is lost: {type(error).__name__}: {error}",
            file=sys.stderr,
        )
