from tests.bench.contestants import huey
from tests.bench.mails import SECONDS, amount

FIFTY = huey("huey, 50 threads", "thread", 50)


def test_at_0_ms_as_many_as_were_seen_to_fit() -> None:
    assert amount(FIFTY, 0, 500) == 500 * SECONDS


def test_at_1000_ms_what_is_in_flight_limits_it() -> None:
    assert amount(FIFTY, 1.0, 500) == 50 * SECONDS * 2


def test_each_has_as_many_to_send() -> None:
    assert amount(FIFTY, 0, 7) % 50 == 0
