from importlib.util import find_spec

import pytest

from tests.bench.__main__ import CONTESTS, asked_for


def test_without_options_everything_runs_three_times() -> None:
    assert asked_for({}) == (3, [])
    assert asked_for({"ROUNDS": "", "ONLY": ""}) == (3, [])


def test_options() -> None:
    assert asked_for({"ROUNDS": "5", "ONLY": "mails  enqueue"}) == (5, ["mails", "enqueue"])


@pytest.mark.parametrize("options", [{"ROUNDS": "0"}, {"ROUNDS": "many"}, {"ONLY": "mail"}])
def test_what_makes_no_sense_is_refused_in_a_sentence(options: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match=f"{next(iter(options.values()))}"):
        asked_for(options)


def test_each_contest_has_a_module() -> None:
    assert [name for name in CONTESTS if find_spec(f"tests.bench.{name}") is None] == []
