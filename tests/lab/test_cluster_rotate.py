"""New secrets for seven machines under visitors: at once, in check mode, and by a run that is stopped twice."""

from dataclasses import dataclass, field

import pytest

from lab import labs
from lab.labs import Lab
from lab.shell import LabError
from tests.lab import release_bench
from tests.lab.hosts import do, started, wait_until_shown
from tests.lab.interrupting import NOTICED, cut_off, playing, wait_for_step
from tests.lab.rotation import NAMES, Outcome, Secrets, accepted, known, rotate, run, under_visitors
from tests.lab.traffic import WEB

PASSWORDS = set(NAMES) - {"secret_django_key"}
UNITS = {
    **dict.fromkeys(WEB, ("nginx.service", "gunicorn@*.service")),
    **dict.fromkeys(("worker1", "worker2"), ("celery-worker@email.service", "celery-worker@celery.service")),
    "db1": ("postgresql@*-main.service",),
    "redis1": ("redis-server.service",),
    "control": ("celery-beat.service", "flower.service"),
}
# What web hosts and workers come in with.
SOME = ("secret_database_web_password", "secret_database_worker_password", "secret_redis_password")


@pytest.fixture(scope="module")
def first(cluster: Lab) -> str:
    return release_bench.installed(cluster)


@dataclass
class Rotation:
    old: Secrets
    new: Secrets
    outcome: Outcome


@pytest.fixture(scope="module")
def rotation(cluster: Lab, first: str, debian: str) -> Rotation:
    old = known(cluster)
    outcome = under_visitors(cluster, debian, lambda: rotate(cluster, *NAMES))
    return Rotation(old, known(cluster), outcome)


def test_nobody_notices(rotation: Rotation) -> None:
    assert rotation.outcome.noticed == []


def test_visitors_came_to_both_web_hosts(cluster: Lab, rotation: Rotation) -> None:
    assert {answer.host for answer in rotation.outcome.summary.answers} == {cluster.address_of(host) for host in WEB}


@pytest.mark.parametrize("web", WEB)
def test_the_old_values_are_refused_and_the_new_ones_accepted(cluster: Lab, rotation: Rotation, web: str) -> None:
    assert [name for name in NAMES if rotation.new[name] == rotation.old[name]] == []
    assert accepted(cluster, rotation.old, web) == set()
    assert accepted(cluster, rotation.new, web) == PASSWORDS


def test_no_host_knows_an_old_value_but_the_key_that_signed(cluster: Lab, rotation: Rotation) -> None:
    # Database and broker have no such files.
    settings = {host: do(cluster, "cat /etc/saas/*.env 2>/dev/null || true", host) for host in labs.CLUSTER}

    stale = {name for text in settings.values() for name in NAMES if rotation.old[name] in text}
    assert stale == {"secret_django_key"}


def active(cluster: Lab, host: str) -> list[str]:
    listed = f"systemctl list-units --all --plain --no-legend {' '.join(map(repr, UNITS[host]))}"
    return [row.split()[2] for row in do(cluster, listed, host).splitlines()]


@pytest.mark.parametrize("host", labs.CLUSTER)
def test_every_unit_is_active(cluster: Lab, rotation: Rotation, host: str) -> None:
    assert active(cluster, host) == ["active"] * len(UNITS[host])
    assert do(cluster, "systemctl is-system-running", host).strip() == "running"


def test_check_mode_foresees_nothing_then(cluster: Lab, rotation: Rotation) -> None:
    foreseen = run(cluster, "site.yml", "--check", "--diff")

    kinds = ("changed", "failed", "unreachable")
    found = {(host, kind) for host, counts in foreseen.recap.items() for kind in kinds if counts[kind]}
    assert found == set()
    assert set(foreseen.recap) == {*labs.CLUSTER, "localhost"}


def test_check_mode_rotates_nothing(cluster: Lab, rotation: Rotation) -> None:
    before = cluster.secrets.read_text(encoding="utf-8"), started(cluster)

    run(cluster, "rotate-secrets.yml", "--check", "--diff", rotate=",".join(NAMES))

    assert (cluster.secrets.read_text(encoding="utf-8"), started(cluster)) == before
    assert accepted(cluster, rotation.new) == PASSWORDS


@dataclass
class Stopped:
    """A rotation of SOME that loses the database's host, then the control machine, and then ends."""

    old: Secrets
    new: Secrets = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    refused: str = ""
    both: list[set[str]] = field(default_factory=list)
    outcome: Outcome | None = None


def lose_the_database(cluster: Lab, stopped: Stopped) -> None:
    log, before = cluster.directory / "lost.log", started(cluster)
    with playing(cluster, "rotate-secrets.yml", log, rotate=",".join(SOME)) as process:
        wait_for_step(log, "base : Refresh the package lists")
        with cut_off(cluster, "db1"):
            stopped.codes.append(process.wait(NOTICED))
    wait_until_let_go(cluster)
    after = started(cluster)
    stopped.moved = [host for host in cluster.machines if after[host] != before[host]]
    stopped.new = known(cluster)


def deploy_a_part(cluster: Lab, stopped: Stopped) -> None:
    try:
        run(cluster, "site.yml", "--limit=web1")
    except LabError as error:
        stopped.refused = " ".join(str(error).split())


def kill_it_half_way(cluster: Lab, stopped: Stopped) -> None:
    """Workers have the new values, web hosts do not."""
    log = cluster.directory / "killed.log"
    with playing(cluster, "rotate-secrets.yml", log, rotate=",".join(SOME)) as process:
        wait_for_step(log, "gunicorn : Install its settings")
        process.kill()
        stopped.codes.append(process.wait(NOTICED))
    wait_until_let_go(cluster)
    stopped.both = [accepted(cluster, secrets) for secrets in (stopped.old, stopped.new)]


def wait_until_let_go(cluster: Lab) -> None:
    for host in cluster.machines:
        # It exits with 3 for what is inactive, which is what is waited for.
        wait_until_shown(cluster, "systemctl is-active saas-deploy.service || true", "inactive", NOTICED, host)


@pytest.fixture(scope="module")
def stopped(cluster: Lab, rotation: Rotation, debian: str) -> Stopped:
    found = Stopped(known(cluster))

    def work() -> None:
        lose_the_database(cluster, found)
        deploy_a_part(cluster, found)
        kill_it_half_way(cluster, found)
        rotate(cluster, *SOME)

    found.outcome = under_visitors(cluster, debian, work)
    return found


def test_nobody_notices_that_it_was_stopped(stopped: Stopped) -> None:
    assert stopped.outcome
    assert stopped.outcome.noticed == []
    assert 0 not in stopped.codes


def test_without_the_database_s_host_no_other_goes_on(stopped: Stopped) -> None:
    assert stopped.moved == []


def test_a_part_of_the_site_is_refused_then(stopped: Stopped) -> None:
    assert f"run rotate-secrets.yml again with {','.join(sorted(SOME))}" in stopped.refused


def test_half_way_both_values_are_accepted(stopped: Stopped) -> None:
    assert stopped.both == [PASSWORDS, PASSWORDS]


def test_the_run_that_ends_it_goes_on_with_the_first_one_s_values(cluster: Lab, stopped: Stopped) -> None:
    ended = known(cluster)

    assert [name for name in NAMES if ended[name] != stopped.new[name]] == []
    assert [name for name in NAMES if ended[name] != stopped.old[name]] == list(SOME)
    assert accepted(cluster, stopped.old) == PASSWORDS - set(SOME)
    assert accepted(cluster, ended) == PASSWORDS
