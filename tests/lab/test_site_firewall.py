"""What the machine lets in, as a stranger on its network finds it."""

import json
import shlex
from pathlib import Path

import pytest

from lab import machine
from lab.labs import FIRST_MACHINE, Lab
from tests.lab.faults import kept
from tests.lab.hosts import do, shell, wait_until_shown
from tests.lab.site import deploy

pytestmark = pytest.mark.usefixtures("first_run")
SCAN = Path(__file__).with_name("scan.py").read_text(encoding="utf-8")
LISTENER = "systemd-run --quiet --collect --unit listener python3"
# What comes to it goes back.
ECHO = """
import socket
mine = socket.socket(type=socket.SOCK_DGRAM)
mine.bind(("", 8080))
while True:
    mine.sendto(*mine.recvfrom(99))
"""


def reached(lab: Lab, ports: set[int], protocol: str = "tcp", address: str = "") -> set[int]:
    """The lab's mail server has a Python too, and is no part of the site."""
    arguments = [address or lab.address(FIRST_MACHINE), ",".join(str(port) for port in sorted(ports)), protocol]
    return {port for _, port in json.loads(machine.execute(lab, "mail", "python3", "-c", SCAN, *arguments))}


def listeners(lab: Lab, protocol: str = "tcp") -> set[tuple[str, int]]:
    rows = do(lab, f"ss --listening --{protocol} --numeric --no-header").splitlines()
    places = (row.split()[3].rpartition(":") for row in rows)
    return {(address, int(port)) for address, _, port in places}


def test_a_stranger_reaches_ssh_and_the_web_and_nothing_else(lab: Lab) -> None:
    do(lab, f"{LISTENER} -m http.server 8080")
    try:
        wait_until_shown(lab, "ss --listening --tcp --numeric", ":8080")

        assert reached(lab, {port for _, port in listeners(lab)} | set(range(1, 1025))) == {22, 80, 443}
    finally:
        do(lab, "systemctl stop listener")


def test_nor_over_ipv6(lab: Lab) -> None:
    (interface,) = json.loads(do(lab, "ip -json -6 address show scope link"))
    do(lab, f"{LISTENER} -m http.server 8080 --bind ::")
    try:
        wait_until_shown(lab, "ss --listening --tcp --numeric", ":8080")

        address = f"{interface['addr_info'][0]['local']}%{interface['ifname']}"
        # nginx listens on IPv4 alone.
        assert reached(lab, {22, 80, 443, 8080}, address=address) == {22}
    finally:
        do(lab, "systemctl stop listener")


def test_no_datagram_of_a_stranger_is_answered(lab: Lab) -> None:
    do(lab, f"{LISTENER} -c {shlex.quote(ECHO)}")
    try:
        wait_until_shown(lab, "ss --listening --udp --numeric", ":8080")

        assert reached(lab, {port for _, port in listeners(lab, "udp")} | set(range(1, 1025)), "udp") == set()
    finally:
        do(lab, "systemctl stop listener")


def test_it_is_loaded_at_boot(lab: Lab) -> None:
    assert do(lab, "systemctl is-enabled saas-firewall").strip() == "enabled"


def test_a_restart_replaces_the_rules(lab: Lab) -> None:
    before = do(lab, "nft list table inet saas")

    do(lab, "systemctl restart saas-firewall")

    assert do(lab, "nft list table inet saas") == before
    assert before.count("dport") == 3


def test_rules_that_could_not_be_loaded_are_tried_again(lab: Lab) -> None:
    with kept(lab, "/etc/saas/firewall.nft"):
        do(lab, "echo nonsense >/etc/saas/firewall.nft; ! systemctl restart saas-firewall")

    wait_until_shown(lab, "systemctl show --property=ActiveState saas-firewall", "ActiveState=active")


def test_rules_that_another_program_empties_are_missed_and_brought_back(lab: Lab) -> None:
    do(lab, "nft flush ruleset")
    assert "CRITICAL firewall" in shell(lab, "saas status").text

    deploy(lab, "firewall")

    assert "policy drop" in do(lab, "nft list table inet saas")


def test_what_somebody_forwards_over_ssh_is_not_let_in(lab: Lab) -> None:
    """A program of sshd's name listens then."""
    do(lab, "mkdir --parents /run/forwarder && ln --symbolic --force /usr/bin/python3 /run/forwarder/sshd")
    do(lab, "systemd-run --quiet --collect --unit listener /run/forwarder/sshd -m http.server 8080")
    try:
        wait_until_shown(lab, "ss --listening --tcp --numeric --processes sport = :8080", '"sshd"')

        deploy(lab, "firewall")

        assert reached(lab, {22, 8080}) == {22}
    finally:
        do(lab, "systemctl stop listener")


def test_every_port_of_the_server_for_ssh_is_let_in(lab: Lab) -> None:
    """Also one that it listens on no more after its next start, and none that the machine alone reaches."""
    configuration = "/etc/ssh/sshd_config.d/ports.conf"
    do(lab, f"printf 'Port 22\nPort 2222\nListenAddress 0.0.0.0\nListenAddress 127.0.0.1:2223\n' >{configuration}")
    do(lab, "systemctl restart ssh")
    do(lab, f"sed -i s/2222/2224/ {configuration}")
    try:
        deploy(lab, "firewall")

        assert "tcp dport { 22, 2222, 2224 } accept" in do(lab, "cat /etc/saas/firewall.nft")
        assert reached(lab, {2222}) == {2222}
    finally:
        do(lab, f"rm {configuration}; systemctl restart ssh")
        deploy(lab, "firewall")


@pytest.mark.parametrize("order", ["start", "reload", "restart", "stop"])
def test_debian_s_own_service_leaves_the_rules(lab: Lab, order: str) -> None:
    """Its file, which it loads, begins by emptying all tables."""
    before = do(lab, "nft list table inet saas; nft add table inet other")

    do(lab, f"systemctl {order} nftables")

    assert do(lab, "nft list table inet saas") == before
    assert "other" not in do(lab, "nft list tables")


def test_everything_of_ours_listens_on_loopback_but_nginx(lab: Lab) -> None:
    others = {address for address, port in listeners(lab) if port not in {22, 80, 443}}

    # Nothing of ours takes datagrams; a machine that is no container has Debian's DHCP client besides.
    assert others | {address for address, _ in listeners(lab, "udp")} <= {"127.0.0.1", "[::1]"}
