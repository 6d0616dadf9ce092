import pytest

from tests.lab.bench import too_slow


@pytest.mark.parametrize(
    ("fresh", "plain", "again", "slow"),
    [
        (114, 38, [25, 22], False),
        (115, 38, [25, 22], True),
        (79, 38, [25, 40, 90], False),
        (79, 38, [25, 41, 90], True),
    ],
)
def test_what_takes_longer_than_was_asked_for_is_too_slow(
    fresh: float, plain: float, again: list[float], slow: bool
) -> None:
    assert too_slow(fresh, plain, again) is slow
