import smtplib
import time
from datetime import timedelta
from threading import Event, Thread
from unittest import mock
from uuid import uuid4

from celery import chain, chord
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.core import mail
from django.db import OperationalError, transaction
from django.test import SimpleTestCase
from django.utils.timezone import now
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError

from config.celery import app
from core.durable import ending, execution, outbox, patience
from core.durable.breaker import Breaker, BrokerAwayError
from core.durable.operations import purge_done
from core.models import DeadLetter, TaskRecord
from core.tasks import request_password_reset, send_welcome_email
from tests.unit import factories
from tests.unit.durable import DurableCase

State = TaskRecord.State
URL = "https://example.org/accounts/login/"


class RecordTests(DurableCase):
    def test_it_is_rolled_back_with_its_caller(self) -> None:
        with self.committed(), self.assertRaises(ZeroDivisionError), transaction.atomic():
            send_welcome_email.delay(user_id=1, login_url=URL)
            raise ZeroDivisionError

        self.assertFalse(TaskRecord.objects.exists())
        self.assertEqual(self.fetch("email"), [])

    def test_it_is_published_after_the_commit_and_not_before(self) -> None:
        with self.committed():
            result = send_welcome_email.delay(user_id=1, login_url=URL)
            self.assertEqual(self.fetch("email"), [])

        (message,) = self.fetch("email")
        self.assertEqual(message.headers["id"], result.id)
        self.assertEqual(str(self.record().pk), result.id)
        self.assertEqual(message.decode()[1], {"user_id": 1, "login_url": URL})

    def test_wrong_arguments_are_refused_at_the_call(self) -> None:
        with self.assertRaises(TypeError):
            send_welcome_email.delay(1)

        self.assertFalse(TaskRecord.objects.exists())

    def test_arguments_that_are_no_json_are_refused_at_the_call(self) -> None:
        with self.assertRaises(TypeError):
            send_welcome_email.delay(user_id=object(), login_url=URL)

    def test_a_failure_to_record_leaves_the_callers_transaction_usable(self) -> None:
        key = str(uuid4())
        send_welcome_email.apply_async((1, URL), task_id=key)

        with self.assertRaises(Exception):  # noqa: B017
            send_welcome_email.apply_async((1, URL), task_id=key)

        self.assertEqual(TaskRecord.objects.count(), 1)

    def test_a_countdown_waits_in_the_record(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((1, URL), countdown=60)

        self.assertEqual(self.fetch("email"), [])
        self.assertEqual(self.record().state, State.WAITING)
        self.assertGreater(self.record().due_at, now() + timedelta(seconds=55))

    def test_eager_mode_runs_at_once_and_records_nothing(self) -> None:
        app.conf.task_always_eager = True
        user = factories.user()

        result = send_welcome_email.delay(user_id=user.pk, login_url=URL)

        self.assertEqual(result.get(), "Welcome email sent to bo@example.org")
        self.assertFalse(TaskRecord.objects.exists())

    def test_a_direct_call_runs_the_body(self) -> None:
        self.assertEqual(send_welcome_email(user_id=0, login_url=URL), "User 0 not found")


class BrokerAwayTests(DurableCase):
    def test_a_call_succeeds_and_its_record_waits(self) -> None:
        with mock.patch.object(outbox, "send", side_effect=OSError), self.assertLogs("core.durable"), self.committed():
            send_welcome_email.delay(user_id=1, login_url=URL)

        self.assertEqual(self.record().state, State.WAITING)
        self.assertLessEqual(self.record().due_at, now())

    def test_the_next_calls_only_record(self) -> None:
        with mock.patch.object(outbox, "send", side_effect=OSError) as send, self.assertLogs("core.durable"):
            for _ in range(3):
                with self.committed():
                    send_welcome_email.delay(user_id=1, login_url=URL)

        self.assertEqual(send.call_count, 1)
        self.assertEqual({record.state for record in TaskRecord.objects.all()}, {State.WAITING})

    def test_a_call_that_cannot_be_sent_does_not_keep_others_from_it(self) -> None:
        with self.assertLogs("core.durable", "WARNING") as logs, self.committed():
            send_welcome_email.apply_async((1, URL), serializer="nosuch")
        with self.committed():
            send_welcome_email.delay(user_id=1, login_url=URL)

        self.assertIn("it could not be sent (SerializerNotInstalled)", logs.output[0])
        self.assertEqual(len(self.fetch("email")), 1)

    def test_each_way_in_which_the_broker_is_away_is_one(self) -> None:
        for error in (OSError, BrokerError, RedisConnectionError):
            breaker = Breaker()
            with self.subTest(error), self.assertRaises(error), breaker.attempt():
                raise error
            self.assertTrue(breaker.is_open)


class BreakerTests(SimpleTestCase):
    def test_one_failure_keeps_it_open_for_a_while(self) -> None:
        breaker = Breaker(rest=0.1)
        with self.assertRaises(OSError), breaker.attempt():
            raise OSError
        with self.assertRaises(BrokerAwayError), breaker.attempt():
            self.fail("it let a second one through")

        time.sleep(0.11)
        with breaker.attempt():
            pass

    def test_whoever_comes_while_one_is_finding_out_does_not_wait_for_it(self) -> None:
        breaker, silent = Breaker(), Event()

        def find_out() -> None:
            with breaker.attempt():
                silent.wait(2)

        thread = Thread(target=find_out)
        thread.start()
        start = time.monotonic()
        with self.assertRaises(BrokerAwayError), breaker.attempt():
            self.fail("two at once")
        elapsed = time.monotonic() - start
        silent.set()
        thread.join()

        self.assertLess(elapsed, 0.3)


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


class PurgeTests(DurableCase):
    def test_only_old_done_records_go(self) -> None:
        old = now() - timedelta(days=2)
        for state, closed in ((State.DONE, old), (State.DONE, now()), (State.DEAD, old), (State.WAITING, None)):
            TaskRecord.objects.create(
                id=uuid4(), task="t", queue="q", state=state, created_at=old, due_at=old, closed_at=closed
            )

        self.assertEqual(purge_done(timedelta(days=1)), 1)
        self.assertEqual(purge_done(timedelta(days=1)), 0)
        self.assertEqual(TaskRecord.objects.count(), 3)
