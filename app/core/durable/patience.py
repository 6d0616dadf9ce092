"""Waiting for a database that is being restarted."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

# How long a step waits for a database that is being restarted.
PATIENCE = 20
DATABASE_AWAY = (OperationalError, InterfaceError)
T = TypeVar("T")


def patiently(step: Callable[[], T]) -> T:
    """Repeat a step that the database's absence cuts off: a mail that was sent should be known to be."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return step()
        except DATABASE_AWAY:
            if connection.in_atomic_block or time.monotonic() > end:
                raise
            connection.close()
            time.sleep(0.5)
