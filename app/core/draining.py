"""What a worker does once it is told to stop: hands back at once what it has fetched and not begun."""

import logging
import os
import signal
from threading import Timer
from typing import Any

from celery.worker import state
from django.conf import settings
from kombu.common import ignore_errors

from core.durable.failures import BuryingConsumer
from core.watchdog import notify

# Seconds for handing back, after those for finishing.
MARGIN = 30
log = logging.getLogger("core.worker")


class DrainingConsumer(BuryingConsumer):
    """Celery alone would keep such messages until the last running task is done, and nobody would work on them."""

    task_consumer: Any
    connection: Any

    def on_close(self) -> None:
        # It is closed when the connection is lost, too; what was fetched over that cannot be handed back.
        if is_stopping() and self.task_consumer:
            # With the broker away there is nobody to hand it to; the sweeper or the visibility time-out brings it back.
            ignore_errors(self.connection, self.hand_back)
            tell(len(state.active_requests))
        super().on_close()

    def hand_back(self) -> None:
        self.task_consumer.cancel()
        for request in waiting():
            request.message.requeue()


def is_stopping() -> bool:
    """Each flag is an exit code then, and 0 is one."""
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))


def waiting() -> list[Any]:
    """Fetched, and not given to a process."""
    return [request for request in list(state.reserved_requests) if request._apply_result is None]


def tell(running: int) -> None:
    """`systemctl status` shows it, and a deploy waits for it before new web processes get requests."""
    microseconds = (settings.DRAIN_SECONDS + MARGIN) * 1_000_000
    notify(f"STATUS=Fetches nothing more, {running} tasks to finish\nEXTEND_TIMEOUT_USEC={microseconds}")
    timer = Timer(settings.DRAIN_SECONDS, os.kill, (os.getpid(), signal.SIGQUIT))
    # It does not keep a worker that has finished.
    timer.daemon = True
    timer.start()
    log.info("It fetches nothing more and has %d tasks to finish", running)
