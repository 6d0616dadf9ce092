"""The lab's part of the inventory: which machines there are and how to reach them."""

import hashlib
import shlex
import shutil
from os import cpu_count
from typing import Any

import yaml

from lab.labs import SINGLE, Lab
from lab.machine import ssh_options

# Each machine sees all of this computer's: Gunicorn's processes could need more connections than the database gives.
PROCESSORS = 8


def write(lab: Lab) -> None:
    if lab.inventory != lab.committed_inventory:
        ignore = shutil.ignore_patterns("machines.yml")
        shutil.copytree(lab.committed_inventory, lab.inventory, ignore=ignore, dirs_exist_ok=True)
    text = "---\n# Written by the lab.\n" + yaml.safe_dump(machines(lab), sort_keys=False)
    (lab.inventory / "machines.yml").write_text(text, encoding="utf-8")


def machines(lab: Lab) -> dict[str, Any]:
    return {
        "all": {
            "hosts": {host: connection(lab, lab.address_of(host)) | private(lab, host) for host in lab.machines},
            "vars": {"lab_mail_address": lab.mail_address, "gunicorn_workers": min(cpu_count() or 1, PROCESSORS) + 1},
        }
    }


def connection(lab: Lab, address: str) -> dict[str, str]:
    named = hashlib.sha256(f"{lab.network} {lab.key.stat().st_mtime_ns} {address}".encode()).hexdigest()[:16]
    return {
        "ansible_host": address,
        "ansible_user": "admin",
        "ansible_ssh_private_key_file": str(lab.key),
        "ansible_ssh_common_args": shlex.join(ssh_options(lab)),
        # Addresses are used again: a connection kept open to an earlier lab's machine must not be found.
        "ansible_control_path": f"%(directory)s/saas-{named}",
    }


def private(lab: Lab, host: str) -> dict[str, str]:
    return {} if lab.machines == SINGLE else {"private_address": lab.private_address_of(host)}


def remove(lab: Lab) -> None:
    (lab.inventory / "machines.yml").unlink(missing_ok=True)
    lab.secrets.unlink(missing_ok=True)
