import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from core.broker import AWAY

REST = 5.0
# Publishing takes a millisecond; whoever still waits then stands behind one who is finding the broker silent.
PATIENCE = 0.05


class BrokerAwayError(Exception):
    """The broker was found away a moment ago, or another thread is finding that out."""


class Breaker:
    """Lets one caller at a time through, and nobody for `rest` seconds after the broker was found away."""

    def __init__(self, rest: float = REST) -> None:
        self.rest = rest
        self.lock = Lock()
        self.closed_again_at = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.closed_again_at

    @contextmanager
    def attempt(self) -> Iterator[None]:
        if self.is_open or not self.lock.acquire(timeout=PATIENCE):
            raise BrokerAwayError
        try:
            self.refuse_if_open()
            with self.opened_by_failure():
                yield
        finally:
            self.lock.release()

    def refuse_if_open(self) -> None:
        if self.is_open:
            raise BrokerAwayError

    @contextmanager
    def opened_by_failure(self) -> Iterator[None]:
        try:
            yield
        except AWAY:
            self.closed_again_at = time.monotonic() + self.rest
            raise
