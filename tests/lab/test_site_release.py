"""A release that is not fit changes nothing, and what goes wrong half-way is made whole by the next deploy."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import paths, playbook, proof, snapshot
from lab.labs import Lab
from lab.podman import podman
from lab.shell import LabError, run
from tests.lab import faults, releases
from tests.lab.hosts import do, shell, wait_until_shown

PATTERNS = "'gunicorn@*.service' 'celery-worker@*.service'"
RUNNING = f"systemctl list-units --plain --no-legend --state=active {PATTERNS} | cut -d ' ' -f 1"
# With when its mode or owner was last set: Ansible gives a file back the mode that it has set through a link.
STATE = f"stat --format '%U %a %z' {releases.OUTSIDE}"
FORGET = "DELETE FROM django_migrations WHERE app = 'bench' AND name <> '0001_initial'"
NOTES = "SELECT migration FROM core_migrationnote"
TAKES = """from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("bench", "0002_adds")]
    operations = [migrations.RemoveField("run", "note")]
    safe_after = ("bench", "0002_adds")
"""


def deploy(lab: Lab, release: str, **variables: object) -> playbook.Progress:
    return playbook.run(lab, "deploy.yml", lab.directory / "deploy.log", release=release, **variables)


def rollback(lab: Lab, **variables: object) -> playbook.Progress:
    return playbook.run(lab, "rollback.yml", lab.directory / "rollback.log", **variables)


def controls(log: Path) -> list[str]:
    """What of it speaks to a terminal."""
    return re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", log.read_text(encoding="utf-8"))


def current(lab: Lab) -> str:
    return do(lab, "basename $(readlink /srv/saas/current)").strip()


def wait_until_settled(lab: Lab) -> None:
    """Its own processes run, and no others."""
    wanted = sorted([f"gunicorn@{current(lab)}.service", "celery-worker@celery.service", "celery-worker@email.service"])
    end = time.monotonic() + 120
    while sorted(do(lab, RUNNING).split()) != wanted:
        assert time.monotonic() < end, do(lab, RUNNING)
        time.sleep(1)


@contextmanager
def running_deploy(lab: Lab, release: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(paths.BIN / "ansible-playbook"), "-i", str(lab.inventory), "deploy.yml", "-e", f"release={release}"]
    with subprocess.Popen(command, cwd=paths.ANSIBLE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield process
        process.wait(120)
    assert process.returncode != 0


@contextmanager
def under_way(lab: Lab, release: str) -> Iterator[subprocess.Popen[bytes]]:
    """A deploy that has started the doubles of the workers, and is to be disturbed."""
    with running_deploy(lab, release) as process:
        wait_until_shown(lab, RUNNING, "celery-worker@email-next")
        yield process


def keep_running(lab: Lab, tasks: int) -> None:
    """Of 20 s each."""
    browser = proof.visit(lab).browser
    browser.session.post(f"{browser.site}bench/tasks/{tasks}/", timeout=30).raise_for_status()


def takes_away(tree: releases.Tree) -> None:
    """What the release before no longer uses, and the one before that does."""
    releases.additive_migration(tree)
    tree.changed["app/bench/migrations/0003_takes.py"] = TAKES


@pytest.fixture(scope="module")
def first(lab: Lab, first_run: playbook.Progress) -> str:
    do(lab, f"install --mode=600 --owner=saas /dev/null {releases.OUTSIDE}; {STATE} >{releases.OUTSIDE}.before")
    deploy(lab, releases.release("first", releases.leading_outside))
    wait_until_settled(lab)
    return current(lab)


def test_what_a_link_in_a_commit_leads_to_is_left_alone(lab: Lab, first: str) -> None:
    assert do(lab, f"readlink /srv/saas/releases/{first}/app/bench/outside").strip() == releases.OUTSIDE
    assert do(lab, STATE) == do(lab, f"cat {releases.OUTSIDE}.before")


@pytest.mark.parametrize(
    ("fault", "step", "told"),
    [
        (releases.import_error, "Say why the release is not fit", "there_is_no_such_module"),
        (releases.failing_check, "Say why the release is not fit", "bench.E001"),
        (releases.failing_migration, "Say why it is not migrated", "there_is_no_such_table"),
        (releases.import_error_at_start, "Start it beside the present one", "there_is_no_such_module"),
        (releases.failing_page, "Start it beside the present one", "/accounts/login/ is answered with 500"),
        (releases.dying_web, "Start it beside the present one", "does not stay up"),
        (releases.dying_worker, "Start it beside the present one", "does not stay up"),
        (releases.dying_beat, "See that it is there", "celery-beat.service does not stay up"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_release_that_is_not_fit_leaves_the_present_one(
    lab: Lab, first: str, fault: Callable[[releases.Tree], None], step: str, told: str
) -> None:
    bad = releases.release("bad", fault)

    with pytest.raises(LabError) as error:
        deploy(lab, bad)

    assert step in str(error.value)
    assert told in str(error.value)
    assert controls(lab.directory / "deploy.log") == []
    assert current(lab) == first
    wait_until_settled(lab)
    wait_until_shown(lab, "systemctl is-active celery-beat flower | sort | uniq -c", "2 active")
    assert f"not done, {first} goes on" in do(lab, "journalctl -t saas-deploy _UID=0 -o cat -n 1")
    assert releases.name(bad) not in do(lab, "ls /srv/saas/releases")
    proof.prove(lab)


@pytest.mark.parametrize(("left", "step"), [(1, "See that the disk has room for it"), (20, "Unpack the source")])
def test_a_disk_without_room_for_it_leaves_the_present_one(lab: Lab, first: str, left: int, step: str) -> None:
    new = releases.release(f"big-{left}", releases.big)

    with faults.small_disk(lab, left), pytest.raises(LabError) as error:
        deploy(lab, new)

    assert step in str(error.value)
    assert "mounted on /srv" in str(error.value)
    assert current(lab) == first
    proof.prove(lab)


def test_a_second_deploy_is_refused_and_told_of_the_first(lab: Lab, first: str) -> None:
    wait_until_settled(lab)
    hold = "saas release hold 0123456789ab --by somebody@elsewhere; sleep 600"
    do(lab, f"systemd-run --quiet --collect --unit elsewhere sh -c '{hold}'")
    wait_until_shown(lab, "systemctl is-active saas-deploy.service || true", "active")
    limits = do(lab, "systemctl show --property=MemoryMax,TasksMax --value saas-deploy.service")

    with pytest.raises(LabError, match="deploy of 0123456789ab by somebody@elsewhere is under way since"):
        deploy(lab, releases.release("second"))

    # As of the units that have a file.
    assert "infinity" not in limits

    # Nor has it ended the first one's hold.
    assert do(lab, "systemctl is-active saas-deploy.service").strip() == "active"
    do(lab, "systemctl stop elsewhere.service")
    wait_until_shown(lab, "systemctl is-active saas-deploy.service || true", "inactive")


def test_one_that_loses_its_connection_is_settled_by_the_host_and_repeated(lab: Lab, first: str) -> None:
    wait_until_settled(lab)
    release = releases.release("cut")

    with under_way(lab, release):
        do(lab, "pkill -KILL -u admin")

    wait_until_shown(lab, "systemctl is-active saas-deploy.service || true", "inactive")
    wait_until_settled(lab)
    assert current(lab) == first
    deploy(lab, release)
    assert current(lab) == releases.name(release)


def test_one_whose_hold_is_ended_stops(lab: Lab, first: str) -> None:
    wait_until_settled(lab)
    before, release = current(lab), releases.release("unheld")

    with under_way(lab, release):
        do(lab, "systemctl stop saas-deploy.service")

    wait_until_settled(lab)
    assert current(lab) == before
    assert releases.name(release) not in do(lab, "ls /srv/saas/releases")
    proof.prove(lab)


def test_one_that_a_reboot_cuts_off_is_settled_by_the_next_boot(lab: Lab, first: str) -> None:
    before = current(lab)
    with under_way(lab, releases.release("rebooted")):
        podman("kill", "--signal", "KILL", lab.container("saas"))
        podman("start", lab.container("saas"), timeout=180)

    wait_until_shown(lab, "systemctl is-system-running", "running")
    wait_until_settled(lab)
    assert current(lab) == before
    assert f"not done, {before} goes on" in do(lab, "journalctl -t saas-deploy _UID=0 -o cat -n 1")
    proof.prove(lab)


def test_who_goes_back_does_not_wait_for_tasks(lab: Lab, first: str) -> None:
    wait_until_settled(lab)
    before = current(lab)
    keep_running(lab, 2)
    worker = do(lab, "systemctl show --property=MainPID --value celery-worker@celery").strip()
    # Tasks that last for as long as this takes.
    do(lab, f"pkill -STOP -P {worker}")
    try:
        deploy(lab, releases.release("regretted"))
        assert "deactivating" in do(lab, "systemctl show --property=ActiveState celery-worker@celery")
        rollback(lab)
        assert current(lab) == before
        # Nor has what a deploy does besides, a daemon-reload, cut them off.
        assert do(lab, "systemctl show --property=MainPID --value celery-worker@celery").strip() == worker
    finally:
        do(lab, f"pkill -CONT -P {worker}")
    wait_until_settled(lab)


def test_it_goes_back_to_the_one_before_and_to_a_named_one(lab: Lab, first: str) -> None:
    second = releases.release("second")
    deploy(lab, second)
    # The lock has not changed.
    environments = do(lab, f"cd /srv/saas/releases && readlink -f {first}/.venv {releases.name(second)}/.venv").split()
    assert environments[0] == environments[1]

    rollback(lab, release=first)
    assert current(lab) == first
    rollback(lab, release=releases.name(second))
    assert current(lab) == releases.name(second)
    rollback(lab)
    assert current(lab) != releases.name(second)
    wait_until_settled(lab)


def test_it_goes_back_past_the_migrations_of_a_deploy_that_failed(lab: Lab, first: str) -> None:
    """Neither the present release nor the one before has their files."""
    before = current(lab)
    deploy(lab, releases.release("after"))

    with pytest.raises(LabError, match="Start it beside the present one"):
        deploy(lab, releases.release("migrates", releases.noted_migration, releases.import_error_at_start))
    rollback(lab)

    assert "bench.0002_leaves_a_note" in do(lab, f'runuser -u postgres -- psql --quiet -At saas -c "{NOTES}"')
    assert current(lab) == before


def test_one_that_is_killed_while_it_makes_the_release_ready_is_repeated(lab: Lab, first: str) -> None:
    """What it had begun goes on without it, and is waited for."""
    wait_until_settled(lab)
    before = current(lab)
    release = releases.release("killed", releases.changed_lock, releases.slow_check, releases.slow_migration)

    for unit in ("saas-environment@", "saas-prepare@", "saas-migrate@"):
        with running_deploy(lab, release) as process:
            wait_until_shown(lab, f"systemctl list-units --plain --no-legend '{unit}*'", "activating", seconds=120)
            process.kill()
        wait_until_shown(lab, "systemctl is-active saas-deploy.service || true", "inactive")
        assert current(lab) == before
    deploy(lab, release)

    assert current(lab) == releases.name(release)
    environments = do(lab, f"cd /srv/saas/releases && readlink -f {before}/.venv {current(lab)}/.venv").split()
    assert environments[0] != environments[1]
    do(lab, f'runuser -u postgres -- psql --quiet saas -c "{FORGET}"')


def test_a_hotfix_may_follow_a_rollback_that_the_schema_did_not_follow(lab: Lab, first: str) -> None:
    before = current(lab)
    deploy(lab, releases.release("adds", releases.additive_migration))
    rollback(lab, release=before)

    hotfix = releases.release("hotfix")
    deploy(lab, hotfix)

    assert current(lab) == releases.name(hotfix)


def test_it_does_not_take_away_what_the_present_release_uses(lab: Lab, first: str) -> None:
    before = current(lab)

    with pytest.raises(LabError, match=r"bench\.0002_breaks"):
        deploy(lab, releases.release("breaks", releases.breaking_migration))

    assert current(lab) == before


def test_it_does_not_go_back_to_code_that_the_schema_has_left_behind(lab: Lab, first: str) -> None:
    before = current(lab)
    deploy(lab, releases.release("stops", releases.additive_migration))
    deploy(lab, releases.release("takes", takes_away, releases.speaking_to_terminals))
    latest = current(lab)

    with pytest.raises(LabError, match=r"bench\.0003_takes"):
        rollback(lab, release=before)

    assert controls(lab.directory / "rollback.log") == []
    assert current(lab) == latest
    # The releases of the other tests could not live with it either.
    do(lab, f'runuser -u postgres -- psql --quiet saas -c "{FORGET}"')


def test_what_is_in_no_commit_is_not_left_out_unasked(lab: Lab, first: str, tmp_path: Path) -> None:
    """Of another clone, whose changes nobody misses."""
    before = current(lab)
    run(["git", "clone", "--quiet", str(paths.ROOT), str(tmp_path / "clone")])
    (tmp_path / "clone/app/forgotten.py").touch()

    with pytest.raises(LabError, match=r"app/forgotten\.py"):
        playbook.run(lab, "deploy.yml", lab.directory / "deploy.log", release_source=str(tmp_path / "clone"))

    assert current(lab) == before


def test_what_never_was_in_service_is_not_gone_back_to(lab: Lab, first: str) -> None:
    before = current(lab)
    do(lab, "mkdir /srv/saas/releases/0123456789ab")
    try:
        with pytest.raises(LabError, match="0123456789ab is not to be gone back to"):
            rollback(lab, release="0123456789ab")
    finally:
        do(lab, "rmdir /srv/saas/releases/0123456789ab")

    assert current(lab) == before


def test_what_is_there_already_is_not_deployed_again(lab: Lab, first: str) -> None:
    before, release = current(lab), releases.release("there")
    deploy(lab, release)
    told = json.loads(do(lab, "journalctl -t saas-deploy _UID=0 -o json -n 1"))
    assert (told["DEPLOY_KIND"], told["DEPLOY_FROM"], told["DEPLOY_TO"]) == ("deploy", before, releases.name(release))

    again = deploy(lab, release)

    assert again.changed == []


def test_each_left_one_entry(lab: Lab, first: str) -> None:
    """And what somebody else writes by that name is not among them."""
    do(lab, "runuser -u saas -- logger -t saas-deploy nonsense")
    wait_until_shown(lab, "journalctl -t saas-deploy -o cat -n 1", "nonsense")

    entries = [json.loads(line) for line in do(lab, "journalctl -t saas-deploy _UID=0 -o json --no-pager").splitlines()]

    assert {entry["DEPLOY_KIND"] for entry in entries} == {"deploy", "rollback"}
    assert [
        entry for entry in entries if not {"DEPLOY_BY", "DEPLOY_FROM", "DEPLOY_TO", "DEPLOY_SECONDS"} <= entry.keys()
    ] == []


def test_the_site_is_left_as_the_others_expect_it(lab: Lab, first: str) -> None:
    deploy(lab, snapshot.take(paths.ROOT))

    wait_until_settled(lab)
    wait_until_shown(lab, "saas status", "All is fine")
    assert shell(lab, "systemctl --failed --no-legend").text == ""
