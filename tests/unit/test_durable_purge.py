from datetime import timedelta
from uuid import uuid4

from django.utils.timezone import now

from core.durable.operations import purge_done
from core.models import TaskRecord
from tests.unit.durable import DurableCase, State


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
