"""A lab: a network of its own, its machines, its mail server, its keys."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import paths
from lab.podman import podman, succeeds

MAIL_HOST, FIRST_MACHINE = 9, 10


@dataclass(frozen=True)
class Lab:
    """`up` is a person's; a `test` belongs to the process that made it and dies with it."""

    name: str
    kind: Literal["up", "test"]
    owner: str = ""

    @property
    def network(self) -> str:
        return f"saas-{paths.CLONE}-{self.name}"

    @property
    def directory(self) -> Path:
        return paths.LAB_DIR / self.name

    @property
    def key(self) -> Path:
        return self.directory / "ssh_key"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def inventory(self) -> Path:
        return paths.COMMITTED_INVENTORY if self.kind == "up" else self.directory / "lab"

    @property
    def secrets(self) -> Path:
        return self.inventory.parent / "lab.secrets.yml"

    @property
    def labels(self) -> list[str]:
        return ["--label", f"saas-lab={self.kind}", "--label", f"saas-lab.owner={self.owner}"]

    def container(self, host: str) -> str:
        return f"{self.network}-{host}"

    def address(self, number: int) -> str:
        """Static, so that it outlives a restart of the machine or of this computer."""
        (network,) = json.loads(podman("network", "inspect", self.network))
        return str(ipaddress.ip_network(network["subnets"][0]["subnet"])[number])

    @property
    def mail_address(self) -> str:
        return self.address(MAIL_HOST)


def create_network(lab: Lab) -> None:
    lab.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not succeeds("network", "exists", lab.network):
        # Isolated from the networks of other labs.
        podman("network", "create", "--opt", "isolate=true", *lab.labels, lab.network)
