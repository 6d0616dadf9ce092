"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host

TABLE = "nft list table inet saas"


def test_what_is_not_let_in_is_dropped(host: Host) -> None:
    assert "policy drop" in host.check_output(TABLE)


def test_starting_it_brings_its_rules_back(host: Host) -> None:
    host.check_output("nft delete table inet saas")
    assert host.run(TABLE).rc == 1

    host.check_output("systemctl restart saas-firewall")

    assert "policy drop" in host.check_output(TABLE)
