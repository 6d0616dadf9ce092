import pytest

from lab import owner, sweep


@pytest.mark.parametrize(
    ("labels", "orphan"),
    [
        ({"saas-lab": "test", "saas-lab.owner": "1-1"}, True),
        ({"saas-lab": "test", "saas-lab.owner": owner.stamp()}, False),
        ({"saas-lab": "test"}, True),
        ({"saas-lab": "up", "saas-lab.owner": ""}, False),
        ({"other": "test"}, False),
    ],
)
def test_only_a_dead_process_leaves_orphans(labels: dict[str, str], orphan: bool) -> None:
    assert sweep.is_orphan(labels) is orphan
