"""`python -m tests.bench.calls MODULE FUNCTION COUNT FIRST` calls it so often, for the users from FIRST on.

Prints the seconds, by the clock and of this process, that a call took.
"""

import json
import sys
import time
from contextlib import nullcontext
from importlib import import_module

module_name, function, count, first = sys.argv[1:]
module = import_module(f"tests.bench.peers.{module_name}")
call = getattr(module, function)
batch = getattr(module, "batch", nullcontext) if function == "send_welcome" else nullcontext


def calls(number: int) -> None:
    users = range(int(first), int(first) + number)
    for start in range(0, number, 250):
        with batch():
            for user in users[start : start + 250]:
                call(user_id=user, login_url="https://example.org/accounts/login/")


if function == "send_nothing":
    # The first one connects.
    calls(20)
wall, cpu = time.perf_counter(), time.process_time()
calls(int(count))
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall": wall / int(count), "cpu": cpu / int(count)}))
