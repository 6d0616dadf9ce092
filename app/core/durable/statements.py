"""The two statements that every run of a task needs, as SQL: Django took longer to write them than PostgreSQL takes
to carry them out, and has no words for RETURNING, which spares a SELECT."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from core.models import TaskRecord

# A worker renews its leases every few seconds. When it has not done so for this long, it is taken for dead.
LEASE = timedelta(seconds=30)
CLAIM = """
    UPDATE core_taskrecord
    SET state = 'running', worker = %s, started_at = {now}, due_at = {lease}, attempts = attempts + 1, publishes = 0
    WHERE id = %s AND (state = 'published' OR state = 'waiting' AND due_at <= {now})
    RETURNING *
"""
CLOSE = """
    UPDATE core_taskrecord SET state = 'done', closed_at = {now}, payload = '', failure = NULL
    WHERE id = %s AND state = 'running' AND attempts = %s
"""
# As Django writes Now() and Now() + LEASE.
CLOCKS = {
    "postgresql": {"now": "STATEMENT_TIMESTAMP()", "lease": f"STATEMENT_TIMESTAMP() + interval '{LEASE.seconds} s'"},
    "sqlite": {
        "now": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
        "lease": f"STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '+{LEASE.seconds} seconds')",
    },
}


def claim(key: UUID, worker: str) -> TaskRecord | None:
    """Take the record for a run of this worker's, if it is there to be taken."""
    return next(iter(TaskRecord.objects.raw(written(CLAIM), [worker, prepared(key)])), None)


def close(record: TaskRecord) -> bool:
    """End the run that has this record, if it still has it."""
    with connection.cursor() as cursor:
        cursor.execute(written(CLOSE), [prepared(record.pk), record.attempts])
        return bool(cursor.rowcount)


def written(statement: str) -> str:
    return statement.format(**CLOCKS[connection.vendor])


def prepared(key: UUID) -> Any:
    return TaskRecord._meta.pk.get_db_prep_value(key, connection)
