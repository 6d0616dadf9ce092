from unittest import mock

from celery import chain, chord
from django.core import mail
from django.db import OperationalError

from config.celery import app
from core.durable import execution
from core.models import TaskRecord
from core.tasks import request_password_reset, send_welcome_email
from tests.unit import factories
from tests.unit.durable import URL, DurableCase, State


class OtherMessagesTests(DurableCase):
    def test_a_message_sent_by_name_is_recorded_and_run_once(self) -> None:
        user = factories.user()
        app.send_task("core.tasks.send_welcome_email", (user.pk, URL))
        (message,) = self.fetch("email")

        states = [self.execute(message), self.execute(message)]

        self.assertEqual(states, ["SUCCESS", "IGNORED"])
        self.assertEqual(self.record().queue, "email")

    def test_a_message_goes_back_to_its_queue_when_the_database_is_away(self) -> None:
        app.send_task("core.tasks.send_welcome_email", (0, URL))
        (message,) = self.fetch("email")
        away = mock.patch.object(execution, "patiently", side_effect=OperationalError)
        with away, self.assertLogs("core.durable", "WARNING") as logs:
            outcome = self.trace(message)

        self.assertEqual((outcome.state, outcome.retval.requeue), ("REJECTED", True))
        self.assertIn(f"core.tasks.send_welcome_email[{message.headers['id']}]", logs.output[0])
        self.assertEqual(self.execute(message), "SUCCESS")

    def test_a_time_of_sending_that_is_none_is_ignored(self) -> None:
        for sent in (1e300, -1e300, float("nan"), 10**400, "soon", None):
            with self.subTest(sent):
                app.send_task("core.tasks.send_welcome_email", (0, URL), headers={"sent_at": sent})
                (message,) = self.fetch("email")
                self.assertEqual(self.execute(message), "SUCCESS")

    def test_an_id_that_is_no_uuid_is_run_without_a_record(self) -> None:
        app.send_task("core.tasks.send_welcome_email", (0, URL), task_id="by-hand")

        self.assertEqual(self.work(), ["SUCCESS"])
        self.assertFalse(TaskRecord.objects.exists())

    def test_a_chain_records_its_next_task_with_the_end_of_the_one_before(self) -> None:
        user = factories.user()
        with self.committed():
            chain(send_welcome_email.si(user.pk, URL), request_password_reset.si("bo@example.org")).apply_async()
        (message,) = self.fetch("email")
        self.execute(message)

        self.assertEqual(set(TaskRecord.objects.values_list("state", flat=True)), {State.DONE, State.PUBLISHED})
        self.work()
        self.assertEqual(
            [message.subject for message in mail.outbox], ["Welcome to Django SaaS", "Password Reset Request"]
        )
        self.assertEqual(TaskRecord.objects.filter(state=State.DONE).count(), 2)

    def test_each_task_of_a_chord_is_recorded_and_its_end_runs(self) -> None:
        user = factories.user()
        header = [request_password_reset.si("bo@example.org"), request_password_reset.si("al@example.org")]
        for task in header:
            task.options["ignore_result"] = False
        with self.committed():
            chord(header, send_welcome_email.si(user.pk, URL)).apply_async()
        recorded = TaskRecord.objects.count()
        self.work()

        self.assertEqual(recorded, 2)
        self.assertEqual({record.state for record in TaskRecord.objects.all()}, {State.DONE})
        self.assertEqual([message.subject for message in mail.outbox][-1], "Welcome to Django SaaS")

    def test_options_survive_the_record(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((0, URL), headers={"request_id": "r1"}, priority=3, soft_time_limit=7)

        (message,) = self.fetch("email")
        self.assertEqual((message.headers["request_id"], message.headers["timelimit"]), ("r1", [1800, 7]))
