"""Every strategy, with 4 and with 8 processes that write at once: nothing is lost, doubled or mixed up."""

from pathlib import Path

import pytest

from tests.log_strategies.records import LONG, NONE
from tests.log_strategies.run import SHORT, Load, run

WRITERS = (4, 8)


@pytest.mark.parametrize("writers", WRITERS)
@pytest.mark.parametrize("strategy", ["pid", "concurrent", "queue"])
def test_nothing_is_lost_while_files_rotate(strategy: str, writers: int, tmp_path: Path) -> None:
    outcome = run(Load(strategy, writers, 16_000 // writers, long=SHORT), tmp_path)

    assert outcome.tallies == dict.fromkeys(outcome.tallies, NONE)
    assert outcome.files > 3 * writers


@pytest.mark.parametrize("writers", WRITERS)
def test_a_file_that_is_moved_loses_nothing(writers: int, tmp_path: Path) -> None:
    outcome = run(Load("file, nocreate", writers, 100_000 // writers), tmp_path)

    assert outcome.tallies == {"files": NONE}
    assert outcome.files > 5


@pytest.mark.parametrize("writers", WRITERS)
def test_a_file_that_is_truncated_loses_what_is_written_meanwhile_and_nothing_else(
    writers: int, tmp_path: Path
) -> None:
    outcome = run(Load("file", writers, 100_000 // writers), tmp_path)

    found = outcome.tallies["files"]
    assert outcome.files > 5
    assert found.duplicated == 0
    # A line may be cut where the copy ends.
    assert found.garbled <= 2 * outcome.files
    print(f"{writers} processes: {found}; {found.lost / outcome.files:.0f} lines per rotation")


@pytest.mark.parametrize("writers", WRITERS)
@pytest.mark.parametrize("strategy", ["console", "syslog"])
def test_nothing_is_lost_on_the_way_to_who_stores(strategy: str, writers: int, tmp_path: Path) -> None:
    long = SHORT if strategy == "console" else LONG

    outcome = run(Load(strategy, writers, 40_000 // writers, long=long), tmp_path)

    assert outcome.tallies == {strategy: NONE}


@pytest.mark.parametrize("writers", WRITERS)
def test_sentry_gets_every_error(writers: int, tmp_path: Path) -> None:
    outcome = run(Load("sentry", writers, 10, long=SHORT), tmp_path)

    assert outcome.tallies == {"console": NONE, "sentry": NONE}
