"""A lab: a network of its own, its machines, its mail server, its keys."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import paths
from lab.podman import podman, succeeds

MAIL_HOST, FIRST_MACHINE = 9, 10
# The machines of each of the lab's inventories, the one that shows the site first.
SINGLE = ("saas",)
CLUSTER = ("web1", "web2", "worker1", "worker2", "db1", "redis1", "control")


@dataclass(frozen=True)
class Lab:
    """`up` is a person's; a `test` belongs to the process that made it and dies with it."""

    name: str
    kind: Literal["up", "test"]
    owner: str = ""
    machines: tuple[str, ...] = SINGLE
    # What of this computer they see, in podman's words.
    volumes: tuple[str, ...] = ()

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
    def private_network(self) -> str:
        """Where the machines of a cluster reach each other; one alone is not in it."""
        return f"{self.network}-private"

    @property
    def committed_inventory(self) -> Path:
        return paths.INVENTORIES / ("lab" if self.machines == SINGLE else "lab-cluster")

    @property
    def inventory(self) -> Path:
        """A person's is the committed one; a test gets a copy, and with it secrets of its own."""
        return self.committed_inventory if self.kind == "up" else self.directory / self.committed_inventory.name

    @property
    def secrets(self) -> Path:
        return self.inventory.with_name(f"{self.inventory.name}.secrets.yml")

    @property
    def labels(self) -> list[str]:
        return ["--label", f"saas-lab={self.kind}", "--label", f"saas-lab.owner={self.owner}"]

    def container(self, host: str) -> str:
        return f"{self.network}-{host}"

    @property
    def networks(self) -> list[str]:
        return [self.network] if self.machines == SINGLE else [self.network, self.private_network]

    def address(self, number: int, network: str = "") -> str:
        """Static, so that it outlives a restart of the machine or of this computer."""
        (found,) = json.loads(podman("network", "inspect", network or self.network))
        return str(ipaddress.ip_network(found["subnets"][0]["subnet"])[number])

    def address_of(self, host: str) -> str:
        return self.address(FIRST_MACHINE + self.machines.index(host))

    def private_address_of(self, host: str) -> str:
        return self.address(FIRST_MACHINE + self.machines.index(host), self.private_network)

    @property
    def mail_address(self) -> str:
        return self.address(MAIL_HOST)


def create_networks(lab: Lab) -> None:
    lab.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for network in lab.networks:
        if not succeeds("network", "exists", network):
            # Isolated from the networks of other labs.
            podman("network", "create", "--opt", "isolate=true", *lab.labels, network)
