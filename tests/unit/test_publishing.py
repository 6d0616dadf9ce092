from typing import Any
from unittest import mock

from celery.app.amqp import AMQP
from django.test import SimpleTestCase

from config import celery_app
from core.publishing import LONGEST

TASK = "config.celery.debug_task"


def headers(amqp: AMQP, *call: Any, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = amqp.as_task_v2("some-id", TASK, *call, **options).headers
    return found


class MessageTests(SimpleTestCase):
    def test_its_headers_are_celerys(self) -> None:
        calls: list[tuple[Any, ...]] = [
            (),
            ((1,), {"to": "bo@example.org"}),
            (["a", None, 1.5], {"x": [{"y": 1}]}),
        ]
        for call in calls:
            with self.subTest(call):
                self.assertEqual(headers(celery_app.amqp, *call), headers(AMQP(celery_app), *call))

    def test_long_arguments_are_shortened(self) -> None:
        shown = headers(celery_app.amqp, ("x" * 5000,), {"y": "y" * 5000})

        for text in (shown["argsrepr"], shown["kwargsrepr"]):
            self.assertEqual((len(text), text[-3:]), (LONGEST, "..."))

    def test_what_the_caller_shows_of_them_instead_is_kept(self) -> None:
        shown = headers(celery_app.amqp, ("hunter2",), {}, argsrepr="('***',)", kwargsrepr="")

        self.assertEqual((shown["argsrepr"], shown["kwargsrepr"]), ("('***',)", ""))


class QueueTests(SimpleTestCase):
    def test_those_of_the_site_need_no_declaration(self) -> None:
        self.assertEqual({queue.exchange.type for queue in celery_app.amqp.queues.values()}, {"direct"})


class DeclareTests(SimpleTestCase):
    def setUp(self) -> None:
        eager, celery_app.conf.task_always_eager = celery_app.conf.task_always_eager, False
        self.addCleanup(setattr, celery_app.conf, "task_always_eager", eager)

    def test_nothing_is_declared_for_a_call_unless_asked_for(self) -> None:
        for options, wanted in (({}, ()), ({"declare": ["a queue"]}, ["a queue"])):
            with self.subTest(options), mock.patch.object(celery_app.amqp, "send_task_message") as send:
                celery_app.send_task(TASK, producer=mock.MagicMock(), **options)
                self.assertEqual(send.call_args.kwargs["declare"], wanted)
