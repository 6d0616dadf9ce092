"""A machine that was rebooted is back by itself, also when its database takes its time."""

from collections.abc import Iterator

import pytest

from lab import proof
from lab.labs import Lab
from lab.podman import podman
from tests.lab.hosts import do, wait_until_shown

DROP_IN = "/etc/systemd/system/postgresql@.service.d/late.conf"
LATE = 30


@pytest.fixture
def late_database(lab: Lab, first_run: object) -> Iterator[None]:
    do(lab, f"printf '[Service]\\nExecStartPre=/bin/sleep {LATE}\\n' >{DROP_IN}")
    try:
        yield
    finally:
        do(lab, f"rm {DROP_IN}; systemctl daemon-reload")


def moment(lab: Lab, unit: str, state: str) -> int:
    """When it got there, in seconds of a clock that all units share."""
    name = do(lab, f"systemctl list-units --plain --no-legend '{unit}' | cut -d ' ' -f 1").strip()
    return int(do(lab, f"systemctl show --property={state}Monotonic --value {name}")) // 1_000_000


def test_everything_is_back_by_itself_after_a_reboot(lab: Lab, late_database: None) -> None:
    podman("restart", "--time", "60", lab.container("saas"), timeout=180)

    wait_until_shown(lab, "systemctl is-system-running", "running")

    database = "postgresql@*.service"
    assert moment(lab, database, "ActiveEnterTimestamp") - moment(lab, database, "InactiveExitTimestamp") >= LATE - 1
    assert "policy drop" in do(lab, "nft list chain inet saas input")
    proof.prove(lab)
