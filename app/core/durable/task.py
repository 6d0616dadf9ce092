import uuid
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery.contrib.django.task import DjangoTask
from celery.exceptions import MaxRetriesExceededError, Retry
from celery.result import AsyncResult
from django.db import transaction
from django.db.models.functions import Now

from core.durable import ending, execution, outbox


class DurableTask(DjangoTask[Any, Any]):
    """`@shared_task(base=DurableTask)`: what is called is recorded with the caller's transaction, and done once.

    `delay` and `apply_async` insert a record and publish after the commit. `retry` keeps the next attempt in the
    record when the body has ended. They raise what the database raises; that the broker is away raises nothing.
    """

    abstract = True
    durable = True

    def apply_async(  # type: ignore[override]
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, **options: Any
    ) -> Any:
        if self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        if self.typing:
            self.__header__(*(args or ()), **(kwargs or {}))  # type: ignore[attr-defined]
        record = outbox.record(self, args, kwargs, task_id, options)
        transaction.on_commit(partial(outbox.publish, self.app, record), robust=True)
        result: AsyncResult[Any] = self.AsyncResult(str(record.pk))
        return result

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """`delay` is that already: what ran after the commit would be lost with its process."""
        self.delay(*args, **kwargs)

    def apply_async_on_commit(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.apply_async(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        if request.called_directly or request.is_eager:
            return super().__call__(*args, **kwargs)
        if not is_uuid(request.id):
            return self.run(*args, **kwargs)
        return execution.run(self, args, kwargs)

    def retry(  # noqa: PLR0913, PLR0917
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Any = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        request: Any = self.request
        if request.called_directly or request.is_eager or not is_uuid(request.id):
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        limit = self.max_retries if max_retries is None else max_retries
        if limit is not None and request.retries >= limit:
            request.retries_spent = True
            raise exc or MaxRetriesExceededError(f"{self.name}[{request.id}] has been tried often enough")
        seconds: Any = self.default_retry_delay if countdown is None else countdown
        due = eta or Now() + timedelta(seconds=seconds)
        request.postponed = ending.postponed(request.claimed, due, args, kwargs)
        verdict = Retry(exc=exc, when=eta or seconds)
        if throw:
            raise verdict
        return verdict


def is_uuid(task_id: str | None) -> bool:
    try:
        uuid.UUID(task_id)
    except (TypeError, ValueError):
        return False
    return True
