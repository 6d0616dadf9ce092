"""The lab's part of the inventory: which machines there are and how to reach them."""

import shlex
import shutil
from typing import Any

import yaml

from lab import paths
from lab.labs import FIRST_MACHINE, Lab
from lab.machine import ssh_options


def write(lab: Lab) -> None:
    """Into the committed inventory for a person's lab; a test gets a copy, and with it secrets of its own."""
    if lab.inventory != paths.COMMITTED_INVENTORY:
        ignore = shutil.ignore_patterns("machines.yml")
        shutil.copytree(paths.COMMITTED_INVENTORY, lab.inventory, ignore=ignore, dirs_exist_ok=True)
    text = "---\n# Written by the lab.\n" + yaml.safe_dump(machines(lab), sort_keys=False)
    (lab.inventory / "machines.yml").write_text(text, encoding="utf-8")


def machines(lab: Lab) -> dict[str, Any]:
    return {
        "all": {
            "hosts": {"saas": connection(lab, lab.address(FIRST_MACHINE))},
            "vars": {"lab_mail_address": lab.mail_address},
        }
    }


def connection(lab: Lab, address: str) -> dict[str, str]:
    fingerprint = lab.key.stat().st_mtime_ns
    return {
        "ansible_host": address,
        "ansible_user": "admin",
        "ansible_ssh_private_key_file": str(lab.key),
        "ansible_ssh_common_args": shlex.join(ssh_options(lab)),
        # Addresses are used again: a connection kept open to an earlier lab's machine must not be found.
        "ansible_control_path": f"%(directory)s/{lab.network}-{fingerprint:x}",
    }


def remove(lab: Lab) -> None:
    (lab.inventory / "machines.yml").unlink(missing_ok=True)
    lab.secrets.unlink(missing_ok=True)
