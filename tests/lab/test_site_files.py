"""LOG_STRATEGY=file on a real machine: logrotate as installed, under processes that write."""

import secrets
import threading
from collections.abc import Iterator

import pytest
import yaml

from lab import console, machine, paths, playbook
from lab.labs import FIRST_MACHINE, Lab
from lab.shell import LabError
from tests.lab import load
from tests.lab.site import deploy, sh

LOGS, NGINX = "/var/log/saas", "/var/log/nginx/access.log"
TIMER = "systemctl show --property=TimersCalendar,ActiveState logrotate.timer"
ROLE = paths.ANSIBLE / "roles/logging"
WRITERS, RECORDS = 4, 30_000
KEPT = [f"{LOGS}/saas.log", f"{LOGS}/saas.log.1", *(f"{LOGS}/saas.log.{number}.gz" for number in range(2, 11))]


@pytest.fixture(scope="module")
def machine_with_files(lab: Lab, first_run: playbook.Progress) -> Iterator[Lab]:
    with console.step("Deploying with logs in files", "files"):
        deploy(lab, log_strategy="file", nginx_log="file")
    yield lab
    # As if a run had ended here, before systemd had read that.
    sh(lab, "rm /etc/logrotate.d/saas /etc/systemd/system/logrotate.timer.d/hourly.conf")
    with console.step("Deploying with logs in the journal", "journal"):
        # Alone, since other roles have systemd read everything again.
        deploy(lab, "logging")
        assert "OnCalendar=*-*-* 00:00:00" in sh(lab, TIMER)
        deploy(lab)
    assert "saas" not in sh(lab, "ls /etc/logrotate.d").split()
    sh(lab, f"rm -f {LOGS}/saas.log* {NGINX}*")


def rotate(lab: Lab, name: str = "saas") -> None:
    sh(lab, f"logrotate --force --state /run/logrotate.test /etc/logrotate.d/{name}")


def visit(lab: Lab) -> str:
    """Have Gunicorn write a line; a path that it names."""
    path = f"/{secrets.token_hex(8)}/"
    url = f"https://{lab.address(FIRST_MACHINE)}{path}"
    machine.execute(lab, "saas", "python3", "-c", VISIT, url)
    return path


VISIT = """
import ssl, sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context())
except urllib.error.HTTPError as error:
    assert error.code == 404
"""


def test_rotation_under_load_keeps_ten_whole_files(machine_with_files: Lab) -> None:
    lab, run = machine_with_files, secrets.token_hex(4)
    writing = threading.Thread(target=load.write, args=[lab, run, WRITERS, RECORDS])
    writing.start()
    rotations = 0
    while writing.is_alive() or rotations < 12:
        # An empty file is not rotated.
        visit(lab)
        rotate(lab)
        rotations += 1
    writing.join()

    assert sorted(sh(lab, f"ls {LOGS}/saas.log*").split()) == sorted(KEPT)
    assert set(sh(lab, f"stat --format '%U:%G %a' {LOGS}/saas.log*").splitlines()) == {"saas:saas 600"}
    lines = sh(lab, f"zcat --force {LOGS}/saas.log*").splitlines()
    assert set(load.numbers(lines, run).values()) <= {1}
    # Who wrote while the file was cut goes on at its beginning, not behind a hole.
    assert "\0" not in "".join(lines)


def test_nocreate_loses_no_line(machine_with_files: Lab) -> None:
    lab, run = machine_with_files, secrets.token_hex(4)
    deploy(lab, "logging", log_strategy="file", logging_logrotate_file="saas-nocreate")
    for part in range(3):
        writing = threading.Thread(target=load.write, args=[lab, f"{run}-{part}", WRITERS, RECORDS // 3])
        writing.start()
        rotate(lab)
        writing.join()

    lines = sh(lab, f"zcat --force {LOGS}/saas.log*").splitlines()
    deploy(lab, "logging", log_strategy="file")

    found = [load.numbers(lines, f"{run}-{part}") for part in range(3)]
    expected = {(writer, number): 1 for writer in range(WRITERS) for number in range(RECORDS // 3)}
    assert found == [expected] * 3


def test_the_services_go_on_after_it(machine_with_files: Lab) -> None:
    visit(machine_with_files)
    rotate(machine_with_files)

    path = visit(machine_with_files)

    assert path in sh(machine_with_files, f"cat {LOGS}/saas.log")
    assert sh(machine_with_files, f"head --bytes=1 {LOGS}/saas.log") == "["


def test_the_timers_run_rotates_what_is_large_and_nothing_else(machine_with_files: Lab) -> None:
    lab = machine_with_files
    # The first run of all only notes the time.
    sh(lab, "systemctl start logrotate.service")
    visit(lab)
    small = sh(lab, f"stat --format %s {LOGS}/saas.log")
    sh(lab, "systemctl start logrotate.service")
    assert int(sh(lab, f"stat --format %s {LOGS}/saas.log")) >= int(small)

    load.write(lab, secrets.token_hex(4), WRITERS, 20_000)
    assert int(sh(lab, f"stat --format %s {LOGS}/saas.log")) > 10 * 1024 * 1024
    sh(lab, "systemctl start logrotate.service")

    assert int(sh(lab, f"stat --format %s {LOGS}/saas.log")) < 1024 * 1024
    assert int(sh(lab, f"stat --format %s {LOGS}/saas.log.1")) > 10 * 1024 * 1024


def test_it_runs_every_hour(machine_with_files: Lab) -> None:
    shown = sh(machine_with_files, TIMER)

    assert "OnCalendar=*-*-* *:00:00" in shown
    assert "00:00:00" not in shown.partition("next_elapse")[0]
    assert "ActiveState=active" in shown


def test_nginxs_files_are_rotated_by_debians_own(machine_with_files: Lab) -> None:
    lab = machine_with_files
    before = visit(lab)
    rotate(lab, "nginx")

    after = visit(lab)

    assert before in sh(lab, f"cat {NGINX}.1")
    assert after in sh(lab, f"cat {NGINX}")


def test_a_file_with_a_mistake_is_not_installed(machine_with_files: Lab) -> None:
    tasks = yaml.safe_load((ROLE / "tasks/logrotate.yml").read_text())
    (check,) = [
        task["ansible.builtin.copy"]["validate"] for task in tasks if "validate" in task.get("ansible.builtin.copy", {})
    ]
    sh(machine_with_files, "sed s/daily/dayly/ /etc/logrotate.d/saas >/run/mistaken")

    sh(machine_with_files, check % "/etc/logrotate.d/saas")
    with pytest.raises(LabError, match="unknown option 'dayly'"):
        sh(machine_with_files, f"({check % '/run/mistaken'}) >&2")
