"""What site.yml says to a host that will not do, and that it leaves it as it was."""

from typing import Any

import pytest

from lab import machine, playbook
from lab.labs import Lab
from lab.shell import LabError


def refusal(lab: Lab, **variables: Any) -> str:
    with pytest.raises(LabError) as caught:
        playbook.run(lab, "site.yml", lab.directory / "refusal.log", **variables)
    machine.execute(lab, "saas", "sh", "-c", "[ ! -e /etc/saas ] && [ ! -e /srv/saas ]")
    return " ".join(str(caught.value).split())


def test_it_refuses_a_distribution_it_was_not_proved_on(lab: Lab) -> None:
    text = refusal(lab, preflight_distributions=["Debian 99"])

    assert "saas runs Debian 12; this playbook is for Debian 99." in text


def test_it_refuses_a_disk_that_is_too_small(lab: Lab) -> None:
    text = refusal(lab, preflight_free_disk_mb=10**9)

    assert "MB free on /, /srv or /var; 1000000000 MB are needed." in text


def test_it_refuses_a_user_who_may_not_use_sudo(lab: Lab) -> None:
    machine.execute(lab, "saas", "useradd", "--create-home", "visitor")
    machine.execute(lab, "saas", "cp", "-r", "/home/admin/.ssh", "/home/visitor/")
    machine.execute(lab, "saas", "chown", "-R", "visitor:", "/home/visitor/.ssh")

    text = refusal(lab, ansible_user="visitor")

    assert "The SSH user of saas cannot become root:" in text
    assert "pass --ask-become-pass" in text
