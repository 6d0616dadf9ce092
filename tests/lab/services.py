"""What the tests of several roles' scenarios ask of the machine of `make up`."""

import time

import yaml
from testinfra.host import Host

from lab import paths

ANSIBLE = paths.ANSIBLE
SECRETS = paths.INVENTORIES / "lab.secrets.yml"
PATIENCE = 120


def known() -> dict[str, str]:
    """The file also notes what a rotation needs, in lists and dictionaries."""
    found = yaml.safe_load(SECRETS.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if isinstance(value, str)}


def address(host: Host) -> str:
    return str(host.ansible.get_variables()["ansible_host"])


def main_pid(host: Host, unit: str) -> str:
    return str(host.check_output("systemctl show --property=MainPID --value %s", unit))


def capabilities(host: Host, unit: str) -> str:
    """The effective capabilities of the unit's main process, as /proc writes them: 16 hexadecimal digits."""
    return str(host.check_output("sed -n 's/^CapEff:[[:space:]]*//p' /proc/%s/status", main_pid(host, unit)))


def restarts_when_killed(host: Host, unit: str) -> bool:
    """Kill the unit's main process, and say whether another one takes its place and gets ready."""
    before = main_pid(host, unit)
    host.check_output("systemctl kill --kill-whom=main --signal=KILL %s", unit)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if main_pid(host, unit) not in (before, "0") and host.service(unit).is_running:
            return True
        time.sleep(1)
    return False
