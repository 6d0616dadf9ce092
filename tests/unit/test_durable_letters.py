from typing import Any
from unittest import mock

from celery.exceptions import WorkerLostError
from django.db import OperationalError

from config.celery import app
from core.durable import composing, letters, operations
from core.durable.masking import MASK
from core.models import DeadLetter, TaskRecord
from core.tasks import send_password_reset_email
from tests.unit.durable import LetterCase, State

LINK = "https://example.org/accounts/reset/MQ/abc-0123456789/"


class SecretsTests(LetterCase):
    def test_a_reset_link_is_in_no_letter_and_no_longer_in_the_record(self) -> None:
        with self.committed():
            send_password_reset_email.delay(self.user.pk, LINK)
        with mock.patch("core.mails.send_password_reset", side_effect=ValueError(f"bad: {LINK}")), self.assertLogs():
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.args, letter.masked), ([self.user.pk, MASK], True))
        self.assertNotIn("abc-0123456789", letter.exception + letter.traceback)
        self.assertEqual(self.record().payload, "")

    def shown(self, body: Any, *args: str) -> list[str]:
        with mock.patch.dict(app.tasks, {"tests.named": mock.Mock(run=body)}):
            shown: list[str] = composing.letter("id", "tests.named", "q", args, {}, None, "why")["args"]
        return shown

    def test_what_is_collected_has_the_name_that_it_is_collected_under(self) -> None:
        def log_in(user: str, *passwords: str) -> None: ...

        def show(user: str, *lines: str, password: str | None = None) -> None: ...

        self.assertEqual(self.shown(log_in, "bo", "one", "two"), ["bo", MASK, MASK])
        self.assertEqual(self.shown(show, "bo", "one", "two"), ["bo", "one", "two"])


class StoreTests(LetterCase):
    def test_storing_again_changes_nothing(self) -> None:
        letter = self.bury()
        content = composing.compose(self.record(), None, "again") | {"attempts": 1}

        self.assertIn("out of date", letters.store(content))
        self.assertEqual(DeadLetter.objects.get(), letter)
        self.assertEqual(DeadLetter.objects.get().reason, "permanent error")

    def test_the_record_stays_open_when_the_row_cannot_be_written(self) -> None:
        self.bury()
        TaskRecord.objects.update(state=State.FAILED, closed_at=None)
        content = composing.compose(self.record(), None, "again")
        refused = mock.patch.object(DeadLetter.objects, "update_or_create", side_effect=OperationalError)
        with refused, self.assertRaises(OperationalError):
            letters.store(content)

        self.assertEqual((self.record().state, self.record().closed_at), (State.FAILED, None))

    def test_a_discarded_letter_does_not_come_back(self) -> None:
        letter = self.bury()
        content = composing.compose(self.record(), None, "again") | {"attempts": 1}
        operations.discard(letter)

        letters.store(content)

        self.assertFalse(DeadLetter.objects.exists())

    def test_a_letter_about_an_earlier_run_is_refused(self) -> None:
        self.bury()
        TaskRecord.objects.update(state=State.RUNNING, attempts=2)
        DeadLetter.objects.all().delete()

        letters.store(composing.compose(self.record(), None, "late") | {"attempts": 1})

        self.assertFalse(DeadLetter.objects.exists())

    def test_a_lost_run_that_could_not_be_looked_up_is_repeated_and_not_buried(self) -> None:
        self.bury()
        TaskRecord.objects.update(state=State.RUNNING, closed_at=None)
        DeadLetter.objects.all().delete()
        record = self.record()

        lost = composing.letter(str(record.pk), record.task, "email", [], {}, WorkerLostError(), letters.WORKER_LOST)
        letters.store(lost | {"attempts": record.attempts})

        self.assertFalse(DeadLetter.objects.exists())
        self.assertEqual(self.record().state, State.RUNNING)

    def test_a_letter_holds_what_postgresql_would_refuse_in_a_way_that_it_takes(self) -> None:
        args = ["nul \0", "half \ud800", float("nan"), {"\0": 1}]
        content = composing.letter("some-id", "t" * 300, "q", args, {}, ValueError("\0 \ud800"), letters.UNKNOWN_TASK)
        letters.store(content)

        letter = DeadLetter.objects.get()
        self.assertEqual(letter.args, ["nul \ufffd", "half ?", "nan", {"\ufffd": 1}])
        self.assertEqual((letter.exception, len(letter.task)), ("ValueError: \ufffd ?", 255))

    def test_a_number_of_attempts_that_no_column_holds_is_brought_within_its_bounds(self) -> None:
        content = composing.letter("some-id", "t", "q", [], {}, None, letters.UNKNOWN_TASK)
        for attempts, held in ((2**80, 2**31 - 1), (-1, 0), (3, 3)):
            with self.subTest(attempts):
                letters.store(content | {"attempts": attempts})
                self.assertEqual(DeadLetter.objects.get().attempts, held)
