from tests.bench.contestants import huey
from tests.bench.mails import SECONDS, amount, misdelivered

FIFTY = huey("huey, 50 threads", "thread", 50)


def test_at_0_ms_as_many_as_were_seen_to_fit() -> None:
    assert amount(FIFTY, 0, 500) == 500 * SECONDS


def test_at_1000_ms_what_is_in_flight_limits_it() -> None:
    assert amount(FIFTY, 1.0, 500) == 50 * SECONDS * 2


def test_each_has_as_many_to_send() -> None:
    assert amount(FIFTY, 0, 7) % 50 == 0


def test_a_mail_that_is_missing_or_comes_twice_is_told() -> None:
    assert misdelivered("huey", {"mails": 3, "recipients": 3}, 3) == []
    assert misdelivered("huey", {"mails": 2, "recipients": 2}, 3) == ["huey sent 2 mails to 2 of 3 people"]
    assert misdelivered("huey", {"mails": 4, "recipients": 3}, 3) == ["huey sent 4 mails to 3 of 3 people"]
