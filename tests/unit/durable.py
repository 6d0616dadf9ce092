"""A broker in memory and a worker in this process, for tests of durable tasks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from celery.app.trace import trace_task
from django.test import TestCase
from django.utils.timezone import now
from kombu import Connection

from config.celery import app
from core.durable import outbox
from core.models import DeadLetter, TaskRecord
from core.tasks import send_welcome_email
from tests.unit import factories

State = TaskRecord.State
URL = "https://example.org/accounts/login/"
LONG_AGO = timedelta(hours=1)
QUEUES = ("email", "celery", "dead_letter")


def record(state: str, due: timedelta = -LONG_AGO, **fields: Any) -> TaskRecord:
    values = {
        "id": uuid4(),
        "task": "core.tasks.send_welcome_email",
        "queue": "email",
        "payload": outbox.dump([], {"user_id": 0, "login_url": URL}, {}),
        "created_at": now() - LONG_AGO,
        "due_at": now() + due,
        **fields,
    }
    return TaskRecord.objects.create(state=state, **values)


class DurableCase(TestCase):
    def setUp(self) -> None:
        eager, app.conf.task_always_eager = app.conf.task_always_eager, False
        self.addCleanup(setattr, app.conf, "task_always_eager", eager)
        outbox.breaker.closed_again_at = 0.0
        self.connection: Connection = self.enterContext(app.connection_for_write())
        for name in QUEUES:
            app.amqp.queues[name](self.connection.default_channel).declare()
            app.amqp.queues[name](self.connection.default_channel).purge()

    @contextmanager
    def committed(self) -> Iterator[None]:
        with self.captureOnCommitCallbacks(execute=True):
            yield

    def fetch(self, queue: str) -> list[Any]:
        bound = app.amqp.queues[queue](self.connection.default_channel)
        return list(iter(lambda: bound.get(no_ack=True), None))

    def work(self) -> list[Any]:
        """Run what lies in the queues, until nothing does; return each state."""
        states = []
        while messages := [message for queue in QUEUES for message in self.fetch(queue)]:
            states += [self.execute(message) for message in messages]
        return states

    def execute(self, message: Any) -> str:
        outcome = self.trace(message)
        return outcome.state if outcome else "SUCCESS"

    def trace(self, message: Any) -> Any:
        """What Celery has found out about the task's end; None when it has succeeded."""
        args, kwargs, embed = message.decode()
        info = message.delivery_info
        request = {**message.headers, **embed, "hostname": "email@test", "delivery_info": info, "is_eager": False}
        request["called_directly"] = False
        with self.captureOnCommitCallbacks(execute=True):
            outcome = trace_task(
                app.tasks[message.headers["task"]], message.headers["id"], args, kwargs, request=request, app=app
            )
        return outcome.info

    def record(self) -> TaskRecord:
        return TaskRecord.objects.get()


class LetterCase(DurableCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = factories.user()

    def bury(self, **changes: object) -> DeadLetter:
        with self.committed():
            result = send_welcome_email.delay(user_id=self.user.pk, login_url=URL)
        with mock.patch("core.mails.send_welcome", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()
        DeadLetter.objects.filter(pk=result.id).update(**changes)
        return DeadLetter.objects.get(pk=result.id)
