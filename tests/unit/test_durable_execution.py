import smtplib
import time
from datetime import timedelta
from unittest import mock

from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.core import mail
from django.db import OperationalError, transaction
from django.utils.timezone import now

from core.durable import ending, outbox, patience
from core.models import DeadLetter, TaskRecord
from core.tasks import request_password_reset, send_welcome_email
from tests.unit import factories
from tests.unit.durable import URL, DurableCase, State


class ExecutionTests(DurableCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = factories.user()
        with self.committed():
            self.result = send_welcome_email.delay(user_id=self.user.pk, login_url=URL)

    def test_it_is_done_once_however_often_it_is_delivered(self) -> None:
        (message,) = self.fetch("email")

        states = [self.execute(message) for _ in range(3)]

        self.assertEqual(states, ["SUCCESS", "IGNORED", "IGNORED"])
        self.assertEqual(len(mail.outbox), 1)
        self.assertEqual((self.record().state, self.record().payload), (State.DONE, ""))

    def test_a_claim_begins_the_count_of_lost_messages_anew(self) -> None:
        TaskRecord.objects.update(publishes=19)
        self.work()

        self.assertEqual(self.record().publishes, 0)

    def test_a_message_without_its_record_is_not_run(self) -> None:
        (message,) = self.fetch("email")
        TaskRecord.objects.all().delete()

        self.assertEqual(self.execute(message), "IGNORED")
        self.assertEqual(mail.outbox, [])

    def test_a_record_that_runs_elsewhere_is_left_alone(self) -> None:
        TaskRecord.objects.update(state=State.RUNNING, attempts=1)

        self.assertEqual(self.work(), ["IGNORED"])

    def test_a_repeated_mail_has_the_same_message_id(self) -> None:
        (message,) = self.fetch("email")
        payload = self.record().payload
        self.execute(message)
        TaskRecord.objects.update(state=State.PUBLISHED, closed_at=None, payload=payload)
        self.execute(message)

        first, second = mail.outbox
        self.assertEqual(first.message()["Message-ID"], second.message()["Message-ID"])

    def test_a_failure_that_may_pass_waits_in_the_record(self) -> None:
        with mock.patch("core.mails.send_welcome", side_effect=OSError("away")), self.assertLogs("core.tasks"):
            states = self.work()

        record = self.record()
        self.assertEqual(states, ["RETRY"])
        self.assertEqual((record.state, record.retries, record.attempts), (State.WAITING, 1, 1))
        self.assertAlmostEqual(record.due_at, now() + timedelta(seconds=60), delta=timedelta(seconds=10))

    def test_a_duplicate_does_not_run_before_its_retry_is_due(self) -> None:
        (message,) = self.fetch("email")
        with mock.patch("core.mails.send_welcome", side_effect=OSError("away")), self.assertLogs("core.tasks"):
            self.execute(message)

        self.assertEqual(self.execute(message), "IGNORED")

    def test_retries_spent_end_in_a_dead_letter(self) -> None:
        TaskRecord.objects.update(retries=3)
        with mock.patch("core.mails.send_welcome", side_effect=OSError("away")), self.assertLogs("celery"):
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual(letter.reason, "retries spent")
        self.assertEqual((letter.task_id, letter.attempts), (self.result.id, 1))
        self.assertEqual(self.record().state, State.DEAD)

    def test_a_refused_recipient_ends_in_a_dead_letter_at_once(self) -> None:
        refusal = smtplib.SMTPRecipientsRefused({"bo@example.org": (550, b"no such mailbox")})
        with mock.patch("core.mails.send_welcome", side_effect=refusal), self.assertLogs("celery"):
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual(letter.reason, "permanent error")
        self.assertIn("550", letter.exception)
        self.assertIn("Traceback", letter.traceback)
        self.assertIn("email@test", letter.worker)
        self.assertEqual(letter.kwargs, {"user_id": self.user.pk, "login_url": URL})

    def test_what_takes_too_long_is_not_tried_again(self) -> None:
        with mock.patch("core.mails.send_welcome", side_effect=SoftTimeLimitExceeded()), self.assertLogs("celery"):
            self.work()

        self.assertEqual(DeadLetter.objects.get().reason, "time limit exceeded")

    def test_the_record_is_open_until_the_letter_is_stored(self) -> None:
        with mock.patch("core.mails.send_welcome", side_effect=ValueError("bug")), self.assertLogs("celery"):
            (message,) = self.fetch("email")
            self.execute(message)

        self.assertEqual(self.record().state, State.FAILED)
        self.assertIsNone(self.record().closed_at)
        self.assertEqual((self.record().failure or {})["exception"], "ValueError: bug")
        self.work()
        self.assertEqual(self.record().state, State.DEAD)

    def test_a_task_that_ignores_itself_is_done(self) -> None:
        with mock.patch("core.mails.send_welcome", side_effect=Ignore()):
            self.work()

        self.assertEqual(self.record().state, State.DONE)

    def test_a_task_that_hands_itself_back_is_run_again_like_a_retry(self) -> None:
        with mock.patch("core.mails.send_welcome", side_effect=Reject("not now", requeue=True)):
            self.work()

        record = self.record()
        self.assertEqual((record.state, record.retries), (State.WAITING, 1))
        self.assertGreater(record.due_at, now() + timedelta(seconds=50))

    def test_one_that_hands_itself_back_too_often_or_for_good_is_a_dead_letter(self) -> None:
        self.work()
        for requeue, reason in ((True, "retries spent"), (False, "permanent error")):
            with self.subTest(reason), self.committed():
                key = send_welcome_email.delay(user_id=self.user.pk, login_url=URL).id
            TaskRecord.objects.filter(pk=key).update(retries=3)
            with mock.patch("core.mails.send_welcome", side_effect=Reject("no", requeue=requeue)):
                self.work()
            self.assertEqual(DeadLetter.objects.get(pk=key).reason, reason)

    def test_a_run_that_outlived_its_lease_closes_nothing(self) -> None:
        def taken_over(*args: object) -> str:
            TaskRecord.objects.update(attempts=7)
            return "late"

        with mock.patch("core.mails.send_welcome", taken_over), self.assertLogs("core.durable", "WARNING"):
            self.work()

        self.assertEqual(self.record().state, State.RUNNING)

    def test_an_expired_call_is_closed_without_running(self) -> None:
        TaskRecord.objects.all().delete()
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), expires=0.01)
        time.sleep(0.02)
        with self.assertLogs("core.durable", "WARNING") as logs:
            self.work()

        self.assertEqual(mail.outbox, [])
        self.assertEqual(self.record().state, State.DONE)
        self.assertIn(f"core.tasks.send_welcome_email[{self.record().pk}] expired", logs.output[0])

    def test_a_call_that_has_begun_does_not_expire(self) -> None:
        TaskRecord.objects.all().delete()
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), expires=-1)
        TaskRecord.objects.update(attempts=1)
        self.work()

        self.assertEqual(len(mail.outbox), 1)

    def test_a_retry_that_cannot_be_recorded_is_left_to_a_sweeper(self) -> None:
        with (
            mock.patch("core.mails.send_welcome", side_effect=OSError("away")),
            mock.patch.object(ending, "wait", side_effect=OperationalError),
            self.assertLogs("core.durable", "WARNING"),
        ):
            self.work()

        self.assertEqual(self.record().state, State.RUNNING)
        self.assertFalse(DeadLetter.objects.exists())

    def test_a_retry_inside_a_transaction_outlives_its_rollback(self) -> None:
        def fail(*args: object) -> str:
            with transaction.atomic():
                raise send_welcome_email.retry(countdown=60, kwargs={"user_id": 0, "login_url": URL})

        with mock.patch("core.mails.send_welcome", fail), self.assertLogs("core.tasks"):
            self.work()

        record = self.record()
        self.assertEqual((record.state, record.retries), (State.WAITING, 1))
        self.assertEqual(outbox.load(record)[1], {"user_id": 0, "login_url": URL})

    def test_a_retry_that_is_not_raised_is_one_too(self) -> None:
        def go_on(*args: object) -> str:
            send_welcome_email.retry(countdown=60, throw=False)
            return "again later"

        TaskRecord.objects.all().delete()
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), link=request_password_reset.si("bo@example.org"))
        with mock.patch("core.mails.send_welcome", go_on), self.assertLogs("core.tasks", "INFO"):
            self.work()

        self.assertEqual((self.record().state, self.record().retries), (State.WAITING, 1))

    def test_a_retry_of_a_run_that_outlived_its_lease_leaves_the_later_run_alone(self) -> None:
        def taken_over(*args: object) -> str:
            TaskRecord.objects.update(attempts=7)
            raise OSError("away")

        with mock.patch("core.mails.send_welcome", taken_over), self.assertLogs("core.tasks"):
            self.work()

        self.assertEqual((self.record().state, self.record().retries), (State.RUNNING, 0))

    def test_closing_waits_for_a_database_that_is_restarting(self) -> None:
        step = mock.Mock(side_effect=[OperationalError, "closed"])
        with mock.patch.object(patience, "connection", mock.Mock(in_atomic_block=False)):
            self.assertEqual(patience.patiently(step), "closed")
