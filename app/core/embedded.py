"""A Celery worker and Beat inside another process, for development on memory://."""

from threading import Thread
from typing import Any

from celery.beat import EmbeddedService
from celery.concurrency.thread import TaskPool
from celery.signals import beat_init
from celery.worker import WorkController

from config import celery_app
from config.celery import prepare_beat


class Pool(TaskPool):
    # What is not a task runs in this process too, and may wait for results.
    task_join_will_block = False


def start_worker() -> Thread:
    # A daemon, so that it ends with the server, at once.
    thread = Thread(target=work, name="celery-worker", daemon=True)
    thread.start()
    return thread


def work() -> None:
    options: dict[str, Any] = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}
    WorkController(app=celery_app, pool_cls=Pool, concurrency=2, loglevel="INFO", **options).start()


def start_beat() -> Any:
    # It warns that no worker hears Beat, and this one is heard.
    beat_init.disconnect(prepare_beat)
    # Celery's own scheduler: what was last run when would be kept in a file that a reload may cut off.
    beat: Any = EmbeddedService(celery_app, thread=True, scheduler_cls="celery.beat:Scheduler")
    beat.start()
    return beat
