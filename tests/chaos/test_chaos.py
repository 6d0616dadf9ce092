import random
import tempfile
from pathlib import Path

from tests.chaos.plan import SHORT
from tests.chaos.run import run


def test_nothing_is_lost_under_fire() -> None:
    seed = random.randrange(10_000)  # noqa: S311

    # Not tmp_path: another run of pytest would bar the servers from its parent.
    with tempfile.TemporaryDirectory() as folder:
        result = run(seed, SHORT, Path(folder))

    assert result.faults == [], f"replay: python -m tests.chaos.run --short --seed {seed}"
