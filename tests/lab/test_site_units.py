"""The units as systemd has them, on a machine that does its work."""

import pytest

from lab import paths, proof
from lab.labs import Lab
from tests.lab.hosts import do, wait_until_shown

UNITS = sorted(
    path.name for path in (paths.ROOT / "deploy/systemd").iterdir() if path.is_file() and path.suffix != ".conf"
)
SERVICES = [unit for unit in UNITS if unit.endswith(".service")]
# Ten times what `systemd-analyze security` calls the exposure.
EXPOSURE = {**dict.fromkeys(SERVICES, 15), "nginx.service": 30}


@pytest.fixture(scope="module")
def working(lab: Lab, first_run: object) -> Lab:
    """A mail was delivered by the units as they run, their sandboxes among them."""
    proof.prove(lab)
    return lab


def instance(lab: Lab, unit: str) -> str:
    name = "email" if unit.startswith("celery-worker") else do(lab, "basename $(readlink /srv/saas/current)").strip()
    return unit.replace("@.", f"@{name}.")


def test_systemd_finds_nothing_wrong_with_them(working: Lab) -> None:
    units = " ".join(instance(working, unit) for unit in [*UNITS, "nginx.service", "logrotate.timer"])

    assert do(working, f"systemd-analyze verify --man=no {units}") == ""


@pytest.mark.parametrize(("unit", "most"), EXPOSURE.items())
def test_they_are_sandboxed(working: Lab, unit: str, most: int) -> None:
    do(working, f"systemd-analyze security --no-pager --threshold={most} {instance(working, unit)}")


def test_nginx_gets_up_again(working: Lab) -> None:
    do(working, "systemctl kill --kill-whom main --signal KILL nginx")

    wait_until_shown(working, "systemctl show --property=SubState,NRestarts nginx", "NRestarts=1\nSubState=running")

    assert proof.visit(working).browser.get("/health/").ok
