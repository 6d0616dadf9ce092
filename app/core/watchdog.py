"""Tells systemd that a worker works, so that one which lives but consumes nothing is restarted."""

import logging
import os
import socket
import time
from threading import Event, Thread
from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.signals import worker_ready
from celery.worker import state
from django.conf import settings

from core.durable.leases import limit_of
from core.health import redis_client

log = logging.getLogger("core.worker")
# Seconds for which the event loop may be silent, or tasks wait that a worker with hands free does not begin.
PATIENCE = 60.0
# Kombu keeps messages of other priorities in lists of their own.
LISTS = ("", *(f"\x06\x16{priority}" for priority in (3, 6, 9)))


def notify(news: str) -> None:
    """Tell systemd, where it listens: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(news.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


@worker_ready.connect
def say_ready(**kwargs: Any) -> None:
    notify("READY=1")


class WatchStep(bootsteps.StartStopStep):
    """Runs while the consumer is connected. Waiting for a broker that is away is no fault of the worker's."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        seconds = int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000
        self.watch = Watch(seconds / 4) if seconds else None

    def start(self, consumer: Any) -> None:
        if self.watch:
            self.watch.look_at(consumer)

    def stop(self, consumer: Any) -> None:
        if self.watch:
            self.watch.look_away()


class Watch(Thread):
    """A thread of the worker's first process; a process that is stopped does not run its threads either."""

    def __init__(self, every: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.every = every
        self.consumer: Any = None
        self.over = Event()
        self.forget()

    def forget(self) -> None:
        self.turned = self.begun = time.monotonic()
        self.count = -1

    def look_at(self, consumer: Any) -> None:
        self.forget()
        consumer.timer.call_repeatedly(self.every, self.note_turn)
        self.consumer = consumer
        if not self.is_alive():
            self.start()

    def look_away(self) -> None:
        self.consumer = None

    def note_turn(self) -> None:
        """Called by the event loop, so that it is known to turn."""
        self.turned = time.monotonic()

    def run(self) -> None:
        while not self.over.wait(self.every):
            if fault := self.fault():
                log.error("This worker is to be restarted: %s", fault)
            else:
                notify("WATCHDOG=1")

    def fault(self) -> str:
        consumer, now = self.consumer, time.monotonic()
        if consumer is None:
            return ""
        if now - self.turned > PATIENCE:
            return f"its event loop has not turned for {PATIENCE:.0f} s"
        if hangs(consumer):
            return "each of its threads has run for longer than its task's time limit"
        if self.has_begun_one() or not (holds_back(consumer) or (has_room(consumer) and messages_wait(consumer))):
            self.begun = now
        return f"tasks wait, and it has begun none for {PATIENCE:.0f} s" if now - self.begun > PATIENCE else ""

    def has_begun_one(self) -> bool:
        before, self.count = self.count, sum(state.total_count.values())
        return self.count != before


def hangs(consumer: Any) -> bool:
    """Whether no thread is left that ends by itself. Processes are ended at their tasks' limits."""
    if not isinstance(consumer.pool, ThreadPool):
        return False
    late = [
        one for one in list(state.active_requests) if one.time_start and time.time() - one.time_start > limit_of(one)
    ]
    hands: int = consumer.pool.num_processes
    return len(late) >= hands


def holds_back(consumer: Any) -> bool:
    """Whether it has fetched tasks that no process takes up, though not all are busy: those processes are stuck."""
    hands: int = consumer.pool.num_processes
    return len(state.active_requests) < min(hands, len(state.reserved_requests))


def has_room(consumer: Any) -> bool:
    return bool(consumer.task_consumer.channel.qos.can_consume())


def messages_wait(consumer: Any) -> bool:
    """Whether there is something to fetch. A broker that cannot be asked gives nothing."""
    try:
        client = redis_client(settings.CELERY_BROKER_URL)
        return any(client.llen(queue.name + key) for queue in consumer.task_consumer.queues for key in LISTS)
    except Exception:
        return False
