"""`python -m tests.bench.peers.rq_app 4` is a pool of four workers that have loaded Django before they fork for a job,
as rq's documentation advises."""

import os
import sys
from functools import partial

import django
from redis import Redis
from rq import Queue
from rq.worker_pool import WorkerPool

django.setup()

from tests.bench.peers import mail  # noqa: E402

queue = Queue(connection=Redis.from_url(os.environ["CELERY_BROKER_URL"]))


def nothing(user_id: int, login_url: str) -> None:
    pass


def welcome(user_id: int, login_url: str) -> None:
    mail.send_welcome(user_id, login_url)


send_nothing = partial(queue.enqueue, "tests.bench.peers.rq_app.nothing")
send_welcome = partial(queue.enqueue, "tests.bench.peers.rq_app.welcome")

if __name__ == "__main__":
    sys.modules["tests.bench.peers.rq_app"] = sys.modules["__main__"]
    WorkerPool([queue], connection=queue.connection, num_workers=int(sys.argv[1])).start(logging_level="WARNING")
