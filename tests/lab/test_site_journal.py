import re
import secrets

from lab import machine, playbook
from lab.labs import Lab
from tests.lab import load

WRITERS, RECORDS = 8, 5000


def test_the_journal_loses_nothing_of_a_flood(lab: Lab, first_run: playbook.Progress) -> None:
    run = f"flood-{secrets.token_hex(4)}"

    load.write(lab, run, WRITERS, RECORDS)

    machine.execute(lab, "saas", "journalctl", "--sync")
    lines = machine.execute(lab, "saas", "journalctl", f"--unit=write-{run}", "--output=cat").splitlines()
    expected = {(writer, number): 1 for writer in range(WRITERS) for number in range(RECORDS)}
    assert load.numbers(lines, run) == expected


def test_it_is_kept_on_disk_and_bounded(lab: Lab, first_run: playbook.Progress) -> None:
    """As journald says of its store each time it begins."""
    said = machine.execute(lab, "saas", "journalctl", "--output=cat", "--unit=systemd-journald").splitlines()
    store = [line for line in said if "Journal (" in line][-1]

    assert store.startswith("System Journal (/var/log/journal/")
    assert re.search(r"max 1(\.0)?G,", store)
