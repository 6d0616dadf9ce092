import io
import json
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import SimpleTestCase, TestCase
from django.utils.timezone import now

from core import beat
from core.models import DeadLetter, TaskRecord

NO_BROKER = "redis://127.0.0.1:1/0"
State = TaskRecord.State


def record(state: str, minutes: int, **fields: Any) -> TaskRecord:
    moment = now() - timedelta(minutes=minutes)
    return TaskRecord.objects.create(
        id=uuid4(), task="task", queue="email", **{"state": state, "created_at": moment, "due_at": moment, **fields}
    )


class StatusTests(TestCase):
    def status(self) -> Any:
        output = io.StringIO()
        call_command("status", stdout=output)
        return json.loads(output.getvalue())

    def test_it_knows_nothing_of_a_service_at_rest(self) -> None:
        self.assertEqual(
            self.status()["database"],
            {
                **dict.fromkeys(("pending", "running", "postponed", "lost", "dead"), 0),
                **dict.fromkeys(("oldest", "longest", "newest_dead")),
            },
        )

    def test_it_tells_how_long_the_oldest_task_has_not_been_begun(self) -> None:
        record(State.PUBLISHED, minutes=10)
        record(State.PUBLISHED, minutes=20)
        record(State.DONE, minutes=30, closed_at=now())

        database = self.status()["database"]

        self.assertEqual(database["pending"], 2)
        self.assertAlmostEqual(database["oldest"], 1200, delta=60)

    def test_what_is_put_off_does_not_wait(self) -> None:
        record(State.WAITING, minutes=20, due_at=now() + timedelta(minutes=1))

        database = self.status()["database"]

        self.assertEqual((database["pending"], database["postponed"], database["oldest"]), (0, 1, None))

    def test_it_tells_how_long_a_task_has_run(self) -> None:
        record(State.RUNNING, minutes=20, started_at=now() - timedelta(minutes=5), losses=1)

        database = self.status()["database"]

        self.assertEqual((database["running"], database["lost"]), (1, 1))
        self.assertAlmostEqual(database["longest"], 300, delta=60)

    def test_it_counts_dead_letters(self) -> None:
        DeadLetter.objects.create(task_id="1", task="task", reason="bug", failed_at=now() - timedelta(hours=1))

        database = self.status()["database"]

        self.assertEqual(database["dead"], 1)
        self.assertAlmostEqual(database["newest_dead"], 3600, delta=60)

    def test_it_names_the_error_of_what_is_away_and_tells_the_rest(self) -> None:
        away = mock.patch.object(connection, "ensure_connection", side_effect=OperationalError("db.example.org"))

        with away, self.settings(CELERY_BROKER_URL=NO_BROKER):
            told = self.status()

        self.assertEqual(told, {"database": {"error": "OperationalError"}, "broker": {"error": "ConnectionError"}})

    def test_a_broker_in_memory_has_nothing_to_tell(self) -> None:
        self.assertEqual(self.status()["broker"], {"queues": {}})

    def test_it_takes_what_asks_for_json(self) -> None:
        output = io.StringIO()

        call_command("status", "--json", stdout=output)

        self.assertEqual(json.loads(output.getvalue()), self.status())


class TraceTests(SimpleTestCase):
    def test_a_broker_that_is_away_is_no_failure(self) -> None:
        with self.assertLogs("core.beat", "DEBUG") as logs:
            beat.leave_trace(NO_BROKER)

        self.assertEqual(logs.output, ["DEBUG:core.beat:No trace is left: ConnectionError"])
