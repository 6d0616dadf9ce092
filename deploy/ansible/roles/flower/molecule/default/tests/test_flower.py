"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host

from tests.lab.services import address, capabilities, restarts_when_killed


def test_it_listens_on_loopback_alone(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:5555").is_listening
    assert not host.socket(f"tcp://{address(host)}:5555").is_listening


def test_it_has_no_rights_of_root(host: Host) -> None:
    assert capabilities(host, "flower.service") == "0000000000000000"


def test_it_is_back_when_it_was_killed(host: Host) -> None:
    assert restarts_when_killed(host, "flower.service")
