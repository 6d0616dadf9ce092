from django.db import connection, transaction
from django.test import TransactionTestCase
from django.test.utils import CaptureQueriesContext

from core.durable import ending, outbox, statements
from core.models import TaskRecord
from core.tasks import send_welcome_email
from tests.unit.durable import URL, State, record

ARGUMENTS = {"user_id": 1, "login_url": URL}


class RoundTripTests(TransactionTestCase):
    def test_a_call_outside_a_transaction_is_recorded_in_one(self) -> None:
        with CaptureQueriesContext(connection) as asked:
            outbox.record(send_welcome_email, (), ARGUMENTS, None, {})

        self.assertEqual(len(asked), 1)
        self.assertEqual(TaskRecord.objects.count(), 1)

    def test_inside_one_a_savepoint_keeps_its_failure_from_the_caller(self) -> None:
        with transaction.atomic(), CaptureQueriesContext(connection) as asked:
            outbox.record(send_welcome_email, (), ARGUMENTS, None, {})

        self.assertEqual(len(asked), 3)

    def test_a_record_is_claimed_in_one(self) -> None:
        published = record(State.PUBLISHED)

        with CaptureQueriesContext(connection) as asked:
            claimed = statements.claim(published.pk, "worker")

        row = TaskRecord.objects.get()
        self.assertEqual(len(asked), 1)
        self.assertEqual((claimed, row.state, row.attempts, row.worker), (published, State.RUNNING, 1, "worker"))
        self.assertIsNone(statements.claim(published.pk, "another"))

    def test_a_record_that_nothing_follows_is_closed_in_one(self) -> None:
        running = record(State.RUNNING, attempts=1)

        with CaptureQueriesContext(connection) as asked:
            ending.finish(send_welcome_email, running, None)

        self.assertEqual(len(asked), 1)
        self.assertEqual(TaskRecord.objects.get().state, State.DONE)
