"""Patterns for tasks of one's own, run by a worker that is told of them: `celery -A config worker -I core.examples`."""

from collections.abc import Iterable, Sequence
from typing import Any

from celery import chain, chord, group, shared_task
from celery.result import AsyncResult, GroupResult


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task
def total(numbers: Sequence[int]) -> int:
    return sum(numbers)


# Per worker: with two workers twice as many run.
@shared_task(rate_limit="5/s")
def call_slow_service(number: int) -> int:
    return number


def one_after_the_other(x: int, y: int, z: int) -> AsyncResult[Any]:
    """A chain: each task gets the result of the one before it."""
    return chain(add.s(x, y), add.s(z)).apply_async()


def side_by_side(pairs: Iterable[tuple[int, int]]) -> GroupResult:
    """A group: its result is the list of the tasks' results."""
    results: GroupResult = group(add.s(x, y) for x, y in pairs).apply_async()  # type: ignore[assignment]
    return results


def in_batches(numbers: Sequence[int], size: int) -> AsyncResult[Any]:
    """One message per batch instead of one per item, and a last task that gets what the batches came to."""
    batches = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return chord((total.s(batch) for batch in batches), total.s()).apply_async()
