"""A Celery worker inside another process, for development on memory://."""

from threading import Thread

from celery.worker import WorkController

from config import celery_app


def start_worker() -> Thread:
    # A daemon, so that it ends with the server, at once.
    thread = Thread(target=work, name="celery-worker", daemon=True)
    thread.start()
    return thread


def work() -> None:
    worker = WorkController(app=celery_app, pool_cls="solo", without_mingle=True, without_gossip=True, loglevel="INFO")
    worker.start()
