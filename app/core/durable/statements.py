"""The three statements that every task needs, as SQL: Django took longer to write them than PostgreSQL takes to carry
them out, and has no words for RETURNING, which spares a SELECT."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from core.models import TaskRecord

# A worker renews its leases every few seconds. When it has not done so for this long, it is taken for dead.
LEASE = timedelta(seconds=30)
INSERT = """
    INSERT INTO core_taskrecord (id, task, queue, payload, state, created_at, due_at, sent_at, request_id,
                                 worker, attempts, retries, losses, publishes)
    VALUES (%s, %s, %s, %s, %s, {now}, {due}, %s, %s, '', 0, 0, 0, 0)
"""
CLAIM = """
    UPDATE core_taskrecord
    SET state = 'running', worker = %s, started_at = {now}, due_at = {later}, attempts = attempts + 1, publishes = 0
    WHERE id = %s AND (state = 'published' OR state = 'waiting' AND due_at <= {now})
    RETURNING {columns}
"""
# All but the one whose JSON would have to be read; Django fetches it for whoever asks.
CLAIMED = [field.attname for field in TaskRecord._meta.concrete_fields if field.name != "failure"]
CLOSE = """
    UPDATE core_taskrecord SET state = 'done', closed_at = {now}, payload = '', failure = NULL
    WHERE id = %s AND state = 'running' AND attempts = %s
"""
# As Django writes Now(), and Now() and so many seconds.
CLOCKS = {
    "postgresql": {"now": "STATEMENT_TIMESTAMP()", "later": "STATEMENT_TIMESTAMP() + %s * interval '1 second'"},
    "sqlite": {
        "now": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
        "later": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', %s || ' seconds')",
    },
}
# Within a transaction, so that a failure leaves that usable; in one round trip.
KEPT_APART = "SAVEPOINT durable; {}; RELEASE SAVEPOINT durable"
APART_AGAIN = "ROLLBACK TO SAVEPOINT durable; RELEASE SAVEPOINT durable"


def insert(record: TaskRecord, due: datetime | timedelta) -> None:
    """Raises what the database raises; a transaction that this is part of can go on all the same."""
    clock = CLOCKS[connection.vendor]
    statement = INSERT.format(**clock, due=clock["later"] if isinstance(due, timedelta) else "%s")
    moments = [due.total_seconds() if isinstance(due, timedelta) else moment(due), moment(record.sent_at)]
    values = [prepared(record.pk), record.task, record.queue, record.payload, record.state, *moments, record.request_id]
    if connection.get_autocommit():
        execute(statement, values)
    elif connection.vendor == "postgresql":
        try:
            execute(KEPT_APART.format(statement), values)
        except DatabaseError:
            # One that was refused before it was sent has done nothing.
            if connection.connection.info.transaction_status.name == "INERROR":
                with suppress(DatabaseError):
                    execute(APART_AGAIN, [])
            raise
    else:
        with transaction.atomic():
            execute(statement, values)


def claim(key: UUID, worker: str) -> TaskRecord | None:
    """Take the record for a run of this worker's, if it is there to be taken."""
    statement, values = written(CLAIM), [worker, LEASE.seconds, prepared(key)]
    if connection.vendor != "postgresql":
        return next(iter(TaskRecord.objects.using(connection.alias).raw(statement, values)), None)
    # psycopg hands out moments and UUIDs as such. SQLite does not, and Django looks each time for what is to be read.
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return TaskRecord.from_db(connection.alias, CLAIMED, row) if row else None


def close(record: TaskRecord) -> bool:
    """End the run that has this record, if it still has it."""
    return bool(execute(written(CLOSE), [prepared(record.pk), record.attempts]))


def execute(statement: str, values: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def written(statement: str) -> str:
    return statement.format(**CLOCKS[connection.vendor], columns=", ".join(CLAIMED))


def moment(of: datetime | None) -> Any:
    return connection.ops.adapt_datetimefield_value(of)


def prepared(key: UUID) -> Any:
    return TaskRecord._meta.pk.get_db_prep_value(key, connection)
