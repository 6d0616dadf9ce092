"""What a worker does once it is told to stop: hands back at once what it has fetched and not begun."""

import logging
import os
import signal
import time
from threading import Timer
from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker import state
from django.conf import settings
from kombu.common import ignore_errors

from core.durable.failures import BuryingConsumer
from core.watchdog import notify

# Seconds for handing back, after those for finishing.
MARGIN = 30
# Seconds that Flower may be behind, and misses of a worker that stops. Celery publishes 24 events at the latest.
EVENTS_EVERY = 1.0
# Seconds until a thread that has taken up a task is known to run it.
TAKEN_UP = 0.1
log = logging.getLogger("core.worker")


class DrainingConsumer(BuryingConsumer):
    """Celery alone would keep such messages until the last running task is done, and nobody would work on them."""

    task_consumer: Any
    _flush_events: Any
    connection: Any
    pool: Any
    hub: Any

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(EVENTS_EVERY, self._flush_events)

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # the stubs have it return a callable
        """Do nothing. Celery would publish each task's by themselves: 0.13 to 0.27 ms of the 3.3 that a mail took."""

    def on_close(self) -> None:
        # It is closed when the connection is lost, too; what was fetched over that cannot be handed back.
        if is_stopping() and self.task_consumer:
            # With the broker away there is nobody to hand it to; the sweeper or the visibility time-out brings it back.
            ignore_errors(self.connection, self.hand_back)
            tell(len(state.active_requests))
        super().on_close()

    def hand_back(self) -> None:
        self.task_consumer.cancel()
        for request in waiting(self.pool):
            request.message.requeue()

    def cancel_active_requests(self) -> None:
        """After SIGQUIT. No thread can be ended alone: what they run goes back, and they end with their process."""
        if not isinstance(self.pool, ThreadPool):
            super().cancel_active_requests()
        elif is_stopping():
            self.leave()
        else:
            # Celery would wait for them before it stops anything else, and asks no other name whether to.
            self.pool.on_stop = lambda: None  # type: ignore[method-assign]  # of this pool alone, and for its last moment

    def leave(self) -> None:
        if self.hub:
            # With it go the acknowledgements that wait for its next turn.
            self.hub.close()
        if self.connection:
            # It reads what Redis may just have handed out, and gives back all that is not acknowledged. With the broker
            # away the sweeper or the visibility time-out does.
            ignore_errors(self.connection, self.connection.close)
        for handler in logging.root.handlers:
            handler.flush()
        os._exit(0)


class LeaveStep(bootsteps.StartStopStep):
    """Of a worker of threads that is to stop at once. Its turn is after the consumer, which fetches no more."""

    requires = ("celery.worker.components:Pool",)

    def terminate(self, worker: Any) -> None:
        if isinstance(worker.pool, ThreadPool):
            worker.consumer.leave()


def is_stopping() -> bool:
    """Each flag is an exit code then, and 0 is one."""
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))


def waiting(pool: Any) -> list[Any]:
    """Fetched, and not begun."""
    fetched = list(state.reserved_requests)
    if not isinstance(pool, ThreadPool):
        return [request for request in fetched if request._apply_result is None]
    # Threads are given all that is fetched. What they have taken up just now is to be known as begun.
    pool.executor.shutdown(  # type: ignore[attr-defined]  # the stubs leave it out
        wait=False, cancel_futures=True
    )
    time.sleep(TAKEN_UP)
    # Of these some may have ended meanwhile.
    return [one for one in fetched if one not in state.active_requests and state.requests.get(one.id) is one]


def tell(running: int) -> None:
    """`systemctl status` shows it, and a deploy waits for it before new web processes get requests."""
    microseconds = (settings.DRAIN_SECONDS + MARGIN) * 1_000_000
    notify(f"STATUS=Fetches nothing more, {running} tasks to finish\nEXTEND_TIMEOUT_USEC={microseconds}")
    timer = Timer(settings.DRAIN_SECONDS, os.kill, (os.getpid(), signal.SIGQUIT))
    # It does not keep a worker that has finished.
    timer.daemon = True
    timer.start()
    log.info("It fetches nothing more and has %d tasks to finish", running)
