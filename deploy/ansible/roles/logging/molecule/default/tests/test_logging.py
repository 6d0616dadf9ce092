"""What the role does for a machine, asked of the machine."""

import re
import uuid

from testinfra.host import Host


def test_what_is_said_outlives_a_reboot(host: Host) -> None:
    word = uuid.uuid4().hex
    host.check_output("logger --tag molecule %s", word)
    host.check_output("journalctl --sync")

    assert word in host.check_output("journalctl --directory=/var/log/journal --identifier=molecule --output=cat")


def test_the_journal_is_bounded(host: Host) -> None:
    store = host.check_output("journalctl --unit=systemd-journald --grep='System Journal' --output=cat --lines=1")
    assert re.search(r"max 1(\.0)?G,", store)
