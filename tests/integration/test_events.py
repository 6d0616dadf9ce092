"""What Flower is told of a worker's tasks: all of it, in few messages."""

import json
import time
from base64 import b64decode
from collections import Counter
from typing import Any

from celery import Celery

from tests.integration.conftest import Start
from tests.integration.servers import Redis, wait_until

TASKS = 20


def test_events_that_come_together_are_published_together(start: Start, sender: Celery, redis_server: Redis) -> None:
    client: Any = redis_server.client()
    client.flushall()
    worker = start("celery", "-A", "config", "worker", "-Q", "celery", "-P", "solo", "-E", "-l", "info")
    wait_until(lambda: " ready." in worker.output(), "the worker is ready")
    told: Counter[str] = Counter()
    messages = 0

    with client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.psubscribe("*celeryev/task.*")
        listener.get_message(timeout=1)
        for _ in range(TASKS):
            sender.send_task("core.tasks.forget_rate_limits")
        end = time.monotonic() + 30
        while told["task-succeeded"] < TASKS and time.monotonic() < end:
            if message := listener.get_message(timeout=1):
                messages += 1
                events = json.loads(b64decode(json.loads(message["data"])["body"]))
                told.update(event["type"] for event in events)

    assert told == {"task-received": TASKS, "task-started": TASKS, "task-succeeded": TASKS}
    assert messages < TASKS / 2
