"""Connections to mail servers that have sent a mail and may send another: opening one can take longer than the mail."""

import time
from contextlib import suppress
from threading import Lock, Timer
from typing import Any

# Seconds without a mail. Servers end silent connections, Postfix under stress after 10 s.
IDLE = 8.0
# Mails. Some servers take no more than 100 over one connection.
MOST = 100


class Kept:
    """Of all threads of a process; the latest is taken first, so that those that are not needed fall silent."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.shelf: list[tuple[float, tuple[object, ...], Any]] = []
        self.timer: Timer | None = None

    def take(self, server: tuple[object, ...]) -> Any:
        """A connection to that server which nobody else uses, or None."""
        with self.lock:
            for place in reversed(range(len(self.shelf))):
                since, of, connection = self.shelf[place]
                if of == server and time.monotonic() - since < IDLE:
                    del self.shelf[place]
                    return connection
        return None

    def give(self, server: tuple[object, ...], connection: Any) -> bool:
        """Keep the connection; tell whether it was fit for that."""
        if not (connection.sock and connection.accepted) or connection.mails >= MOST:
            return False
        with self.lock:
            self.shelf.append((time.monotonic(), server, connection))
            self.look_later()
        return True

    def look_later(self) -> None:
        if self.timer is None:
            self.timer = Timer(IDLE, self.tidy)
            # It does not keep a process that has ended.
            self.timer.daemon = True
            self.timer.start()

    def tidy(self) -> None:
        """Take leave of what has been idle for too long."""
        ended = time.monotonic() - IDLE
        with self.lock:
            silent = [connection for since, _, connection in self.shelf if since <= ended]
            self.shelf = [entry for entry in self.shelf if entry[0] > ended]
            self.timer = None
            if self.shelf:
                self.look_later()
        for connection in silent:
            with suppress(OSError):
                connection.quit()
