from io import StringIO
from unittest import mock

from django.core import mail
from django.core.management import CommandError, call_command

from config.celery import app
from core.durable import composing, letters, operations, outbox
from core.models import DeadLetter
from core.tasks import request_password_reset, send_welcome_email
from tests.unit.durable import URL, LetterCase, State

LINK = "https://example.org/accounts/reset/MQ/abc-0123456789/"


class RequeueTests(LetterCase):
    def requeue(self) -> None:
        with self.committed():
            call_command("dead_letters", "requeue", "--all", stdout=StringIO())

    def test_one_that_succeeds_is_gone(self) -> None:
        self.bury()
        self.requeue()
        self.work()

        self.assertFalse(DeadLetter.objects.exists())
        self.assertEqual(self.record().state, State.DONE)
        self.assertEqual(len(mail.outbox), 1)

    def test_one_that_fails_again_is_one_row(self) -> None:
        letter = self.bury()
        self.requeue()
        with mock.patch("core.mails.send_welcome", side_effect=ValueError("still")), self.assertLogs("celery"):
            self.work()

        again = DeadLetter.objects.get()
        self.assertEqual((again.pk, again.attempts, again.exception), (letter.pk, 2, "ValueError: still"))

    def test_one_that_expired_before_it_began_runs_all_the_same(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), expires=-1)
        self.fetch("email")
        letters.store(composing.compose(self.record(), None, letters.UNKNOWN_TASK))
        self.requeue()
        self.work()

        self.assertEqual(len(mail.outbox), 1)

    def test_one_with_masked_arguments_is_refused(self) -> None:
        self.bury(masked=True)

        with self.assertRaisesMessage(CommandError, "among its arguments was not kept. Call the task again"):
            self.requeue()
        self.assertTrue(DeadLetter.objects.exists())

    def test_one_that_could_not_be_read_is_refused(self) -> None:
        self.bury(reason=letters.UNDECODABLE)

        with self.assertRaisesMessage(CommandError, "its message could not be read. Call the task again"):
            self.requeue()
        self.assertTrue(DeadLetter.objects.exists())

    def test_of_two_people_who_requeue_it_one_is_told_that_the_other_has(self) -> None:
        letter = self.bury()
        self.requeue()
        self.work()

        for action in (operations.requeue, operations.discard):
            with self.subTest(action), self.assertRaisesMessage(operations.RefusedError, "somebody else has"):
                action(letter)
        self.assertEqual(self.record().state, State.DONE)
        self.assertEqual(len(mail.outbox), 1)

    def test_one_is_requeued_while_the_broker_is_away(self) -> None:
        self.bury()
        with mock.patch.object(outbox, "send", side_effect=OSError), self.assertLogs("core.durable", "WARNING"):
            self.requeue()

        self.assertFalse(DeadLetter.objects.exists())
        self.assertEqual(self.record().state, State.WAITING)

    def test_a_reset_request_that_failed_can_be_requeued(self) -> None:
        with self.committed():
            request_password_reset.delay("bo@example.org")
        with mock.patch("core.mails.send_password_reset", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()
        self.assertEqual(DeadLetter.objects.get().args, ["bo@example.org"])
        self.requeue()
        self.work()

        self.assertEqual([message.to for message in mail.outbox], [["bo@example.org"]])

    def test_one_of_an_unknown_task_is_sent_as_it_was(self) -> None:
        content = composing.letter("some-id", "core.tasks.gone", "celery", [1], {"x": 2}, None, letters.UNKNOWN_TASK)
        letters.store(content)
        self.requeue()

        (message,) = self.fetch("celery")
        self.assertEqual((message.headers["task"], message.headers["id"]), ("core.tasks.gone", "some-id"))
        self.assertEqual(message.decode()[:2], [[1], {"x": 2}])
        self.assertFalse(DeadLetter.objects.exists())

    def test_its_letter_stays_when_the_broker_is_away(self) -> None:
        letters.store(composing.letter("some-id", "core.tasks.gone", "celery", [], {}, None, letters.UNKNOWN_TASK))

        away = self.assertRaisesMessage(CommandError, "core.tasks.gone[some-id] stays: the broker is away (OSError)")
        with mock.patch.object(app, "send_task", side_effect=OSError), away:
            self.requeue()
        self.assertTrue(DeadLetter.objects.exists())
