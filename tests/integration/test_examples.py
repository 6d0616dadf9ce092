import json
import time

import pytest

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import wait_until


@pytest.fixture(scope="module", autouse=True)
def _worker(start: Start) -> None:
    process = start("celery", "-A", "config", "worker", "-I", "core.examples", "-c", "2", "-l", "info")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")


def result(environment: Environment, expression: str) -> object:
    code = f"import json; from core.examples import *; print(json.dumps({expression}.get(timeout=20)))"
    return json.loads(manage(environment, "shell", "--no-imports", "-c", code))


def test_a_chain_hands_results_on(environment: Environment) -> None:
    assert result(environment, "one_after_the_other(1, 2, 3)") == 6


def test_a_group_gives_a_list(environment: Environment) -> None:
    assert result(environment, "side_by_side([(1, 2), (3, 4)])") == [3, 7]


def test_batches_come_to_one_result(environment: Environment) -> None:
    assert result(environment, "in_batches(list(range(10)), 3)") == 45


def test_a_rate_limited_task_takes_its_time(environment: Environment) -> None:
    start = time.monotonic()

    assert result(environment, "group(call_slow_service.s(n) for n in range(11)).apply_async()") == list(range(11))
    # The first is free; ten more at five a second. Without the limit they take a tenth of that.
    assert time.monotonic() - start >= 1.8
