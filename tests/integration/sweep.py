"""Takes batches until none is due; prints milliseconds and the ids. Run by test_durable_sweepers, several at once."""

import sys
import time

import django

django.setup()

from core.durable import sweeper  # noqa: E402
from core.models import TaskRecord  # noqa: E402

sweeper.BATCH = int(sys.argv[1])
TaskRecord.objects.first()
print("ready", flush=True)
sys.stdin.readline()
taken: list[str] = []
start = time.perf_counter()
while records := sweeper.take_batch().records:
    taken += [str(record.pk) for record in records]
print(f"{(time.perf_counter() - start) * 1000:.1f}", *taken)
