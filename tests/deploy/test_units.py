"""The units and drop-ins keep to the project's rules, as far as their files tell; tests/lab has the rest."""

from configparser import ConfigParser
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "deploy/systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("*.service"))
# What `saas manage` runs has no file of its own.
LIMITED = [*UNITS, "saas-manage-.service.d/manage.conf"]


def read(unit: str) -> ConfigParser:
    """Of a name that stands there more than once, the last value."""
    parser = ConfigParser(delimiters="=", comment_prefixes="#", strict=False, interpolation=None)
    parser.read(SYSTEMD / unit)
    return parser


LASTING = [unit for unit in UNITS if read(unit)["Service"]["Type"] != "oneshot"]


@pytest.mark.parametrize("unit", UNITS)
def test_every_service_has_the_sandbox(unit: str) -> None:
    drop_in = SYSTEMD / f"{unit}.d/sandbox.conf"

    assert drop_in.resolve() == SYSTEMD / "sandbox.conf"


@pytest.mark.parametrize("unit", UNITS)
def test_none_would_be_root_without_its_drop_ins(unit: str) -> None:
    """`systemctl revert` takes them away."""
    service = read(unit)["Service"]

    users = {"nginx-journal.service": None, "saas-firewall.service": "root"}
    assert service.get("User") == users.get(unit, "saas")
    assert service.getboolean("DynamicUser", fallback=False) == (unit == "nginx-journal.service")


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_static(unit: str) -> None:
    assert "{{" not in (SYSTEMD / unit).read_text()


@pytest.mark.parametrize("unit", LASTING)
def test_what_lasts_is_started_again_however_often_it_ends(unit: str) -> None:
    assert read(unit)["Unit"]["StartLimitIntervalSec"] == "0"
    assert read(unit)["Service"]["Restart"] == "always"
    assert int(read(unit)["Service"]["RestartSec"]) >= 1


def test_so_is_the_firewall_without_which_the_host_is_open() -> None:
    unit = read("saas-firewall.service")

    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "on-failure"


@pytest.mark.parametrize("drop_in", ["nginx.service.d/saas.conf", "postgresql@.service.d/sandbox.conf"])
def test_so_is_what_debian_lets_lie(drop_in: str) -> None:
    assert read(drop_in)["Unit"]["StartLimitIntervalSec"] == "0"
    assert read(drop_in)["Service"]["Restart"] == "on-failure"


def test_so_is_redis_which_debian_gives_up_in_the_end() -> None:
    drop_in = read("redis-server.service.d/network.conf")

    assert drop_in["Unit"]["StartLimitIntervalSec"] == "0"
    assert "Restart" not in drop_in["Service"]


@pytest.mark.parametrize("unit", LIMITED)
def test_none_takes_the_whole_machine(unit: str) -> None:
    service = read(unit)["Service"]

    assert service["MemoryMax"] in ("25%", "50%")
    assert int(service["TasksMax"]) <= 512
