"""What a person does with dead letters, in the admin or with `manage.py dead_letters`."""

import logging
from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now
from django.utils.timezone import now
from kombu.utils import json

from core.durable import letters, outbox
from core.identifiers import on_behalf_of
from core.models import DeadLetter, TaskRecord

log = logging.getLogger(__name__)
State = TaskRecord.State
INSTEAD = "Call the task again from where it came, then discard this letter."


class RefusedError(Exception):
    """The sentence says why, and what to do instead."""


def requeue(letter: DeadLetter) -> None:
    """Have the task executed again. Its letter is gone; should it fail again, there is one again."""
    refuse_what_was_not_kept(letter)
    with transaction.atomic():
        record = letters.record_of(letter.task_id)
        take(letter)
        if record is not None:
            reopen(record)
        else:
            send_plain(letter)
    log.info("%s is requeued", letter)


def refuse_what_was_not_kept(letter: DeadLetter) -> None:
    if letter.reason == letters.UNDECODABLE:
        raise RefusedError(f"{letter} cannot be requeued: its message could not be read. {INSTEAD}")
    if letter.masked:
        raise RefusedError(
            f"{letter} cannot be requeued: what is secret or unreadable among its arguments was not kept. {INSTEAD}"
        )


def take(letter: DeadLetter) -> None:
    """Of several people who do something with one letter at once, the first does it."""
    gone, _ = DeadLetter.objects.filter(pk=letter.pk).delete()
    if not gone:
        raise RefusedError(f"{letter} is not there any more: somebody else has requeued or discarded it.")


def reopen(record: TaskRecord) -> None:
    record.state = State.PUBLISHED
    record.closed_at, record.sent_at, record.due_at = None, now(), Now() + outbox.LOOKED_AFTER
    record.retries = record.losses = record.publishes = 0
    record.payload = outbox.without_expiry(record)
    record.save()
    transaction.on_commit(lambda: outbox.publish(current_app, record), robust=True)


def send_plain(letter: DeadLetter) -> None:
    """Send before the row's end is committed: when the broker is away, the letter stays."""
    args, kwargs = json.loads(json.dumps([letter.args, letter.kwargs]))
    queue = letter.queue or None
    try:
        with on_behalf_of(letter.request_id):
            current_app.send_task(letter.task, args, kwargs, task_id=letter.task_id, queue=queue, retry=False)
    except Exception as error:
        raise RefusedError(f"{letter} stays: the broker is away ({type(error).__name__}). Try again later.") from error


def discard(letter: DeadLetter) -> None:
    with transaction.atomic():
        record = letters.record_of(letter.task_id) or record_for(letter)
        take(letter)
        close(record)
    log.info("%s is discarded", letter)


def record_for(letter: DeadLetter) -> TaskRecord:
    key = letters.key_of(letter.task_id)
    return TaskRecord(pk=key, task=letter.task, queue=letter.queue, created_at=Now(), due_at=Now())


def close(record: TaskRecord) -> None:
    """Kept until it is purged: it refuses the letter's message and the call's, should they come again."""
    record.state, record.closed_at, record.payload, record.failure = State.DONE, Now(), "", None
    record.save()


def purge_done(older_than: timedelta, batch: int = 10_000) -> int:
    """Delete done records in small transactions; return how many."""
    old = TaskRecord.objects.filter(state=State.DONE, closed_at__lt=Now() - older_than)
    total = 0
    while keys := list(old.values_list("pk", flat=True)[:batch]):
        total += TaskRecord.objects.filter(pk__in=keys).delete()[0]
    return total
