"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host

from tests.lab.services import SECRETS, known


def test_they_are_long_and_no_two_are_the_same() -> None:
    secrets = list(known().values())

    assert len(set(secrets)) == len(secrets)
    assert min(map(len, secrets)) == 50


def test_nobody_else_reads_them() -> None:
    assert SECRETS.stat().st_mode & 0o777 == 0o600


def test_a_deployment_printed_none(host: Host) -> None:
    """The machine's journal has every module's arguments."""
    journal = host.check_output("journalctl --no-pager --output=cat")

    assert "ansible" in journal
    assert [name for name, secret in known().items() if secret in journal] == []
