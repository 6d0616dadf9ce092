"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host


def test_it_listens_on_loopback_alone(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:6379").is_listening
    assert not host.socket("tcp://0.0.0.0:6379").is_listening


def test_nobody_comes_in_without_a_password(host: Host) -> None:
    assert "NOAUTH" in host.check_output("redis-cli ping 2>&1")


def test_the_application_cannot_empty_it(host: Host) -> None:
    """The machine reads its password itself: what a test passes to it, the journal would show."""
    password = "sed -nE 's|.*redis://saas:([^@]+)@.*|\\1|p' /etc/saas/saas.env | head -n 1"
    command = f"REDISCLI_AUTH=$({password}) redis-cli --user saas"

    assert host.check_output(f"{command} ping") == "PONG"
    assert "NOPERM" in host.check_output(f"{command} flushall 2>&1")
