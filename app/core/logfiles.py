"""Handlers for processes that fork and write at once, of which none loses a line of another."""

import logging
import os
import re
import time
from io import TextIOWrapper
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import Queue

KEEP_SECONDS = 7 * 24 * 3600
# So many records may wait to be written; then whoever logs waits. What is killed loses no more than these.
BACKLOG = 10_000


class ProcessFileHandler(RotatingFileHandler):
    """One file per process: a forked child gets its own name, since a shared rotating file loses lines."""

    def __init__(self, folder: str, stem: str, size: int, kept: int) -> None:
        self.folder, self.stem = Path(folder).resolve(), stem
        super().__init__(self.path(), maxBytes=size, backupCount=kept, delay=True, encoding="utf-8")
        self.remove_old()
        # Nobody writes during a fork: the child would write what is half written once more.
        os.register_at_fork(before=self.acquire, after_in_parent=self.release, after_in_child=self.leave_parents_file)

    def path(self) -> str:
        return str(self.folder / f"{self.stem}-{os.getpid()}.log")

    def leave_parents_file(self) -> None:
        if self.stream:
            self.stream.close()
            self.stream = None
        self.baseFilename = self.path()

    def _open(self) -> TextIOWrapper:
        # Here too, since a worker that stays up for months has many children.
        self.remove_old()
        return super()._open()

    def remove_old(self) -> None:
        """Remove the files of processes that are dead, a week after the last line."""
        for file in self.folder.glob(f"{self.stem}-*.log*"):
            found = re.search(r"-(\d{1,9})\.log", file.name)
            if found and not alive(int(found[1])) and is_old(file):
                file.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's.
        return True
    return True


def is_old(file: Path) -> bool:
    try:
        return file.stat().st_mtime < time.time() - KEEP_SECONDS
    except FileNotFoundError:
        # Another process was quicker.
        return False


Waiting = Queue[logging.LogRecord | None]


class Listener(QueueListener):
    queue: Waiting

    def enqueue_sentinel(self) -> None:
        # The standard one fails when the queue is full.
        self.queue.put(None)


class ProcessQueueHandler(QueueHandler):
    """Hands records to a thread of this process, so that no request waits for a disk.

    The thread starts with the first record, thus after a fork. When `flush` returns, everything has been written.
    """

    queue: Waiting

    def __init__(self, **targets: logging.Handler) -> None:
        super().__init__(Queue(BACKLOG))
        self.targets = targets.values()
        self.listener: Listener | None = None
        # A child would write its parent's backlog once more, and has no such thread.
        os.register_at_fork(before=self.pause, after_in_parent=self.release)

    def emit(self, record: logging.LogRecord) -> None:
        if self.listener is None:
            self.listener = Listener(self.queue, *self.targets, respect_handler_level=True)
            self.listener.start()
        super().emit(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.put(record)

    def flush(self) -> None:
        self.pause()
        self.release()

    def pause(self) -> None:
        self.acquire()
        if self.listener is not None:
            self.listener.stop()
            self.listener = None
