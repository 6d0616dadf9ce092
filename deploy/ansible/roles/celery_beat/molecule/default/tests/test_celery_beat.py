"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host

from tests.lab.services import capabilities, restarts_when_killed


def test_it_has_no_rights_of_root(host: Host) -> None:
    assert capabilities(host, "celery-beat.service") == "0000000000000000"


def test_it_is_back_when_it_was_killed(host: Host) -> None:
    assert restarts_when_killed(host, "celery-beat.service")
