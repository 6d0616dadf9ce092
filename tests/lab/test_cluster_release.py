"""A release that fails on one of several hosts, or loses one half-way, leaves all of them where they were."""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.client import HTTPException, HTTPSConnection

import pytest

from lab import playbook
from lab.labs import Lab
from lab.podman import podman
from lab.shell import LabError
from tests.lab import faults, release_bench, releases
from tests.lab.answers import told as lines
from tests.lab.hosts import do, wait_until_shown
from tests.lab.interrupting import NOTICED, cut_off, playing, wait_for_step
from tests.lab.release_audit import audit_mails, audit_tasks
from tests.lab.traffic import CLUSTER_NAME, WEB, traffic, wait

WORKERS = ("worker1", "worker2")
Somewhere = Callable[[Lab, str], AbstractContextManager[None]]
APPLICATION = (*WEB, *WORKERS, "control")
PATTERNS = "'gunicorn@*.service' 'celery-worker@*.service'"
RUNNING = f"systemctl list-units --plain --no-legend --state=active {PATTERNS} | cut -d ' ' -f 1"
HELD = "systemctl is-active saas-deploy.service || true"
DIES = "[Service]\\nRuntimeMaxSec=2"


@pytest.fixture(scope="module")
def first(cluster: Lab) -> str:
    return release_bench.installed(cluster)


def deploy(cluster: Lab, release: str) -> playbook.Progress:
    return playbook.run(cluster, "deploy.yml", cluster.directory / "deploy.log", release=release)


def current(cluster: Lab) -> set[str]:
    return {do(cluster, "basename $(readlink /srv/saas/current)", host).strip() for host in APPLICATION}


def wanted(host: str, release: str) -> list[str]:
    workers = [f"celery-worker@{name}.service" for name in ("celery", "email")]
    return [f"gunicorn@{release}.service"] if host in WEB else workers if host in WORKERS else []


def wait_until_only(cluster: Lab, release: str, seconds: float = 120) -> None:
    """Every host runs it, nothing else, and is held by nobody."""
    end = time.monotonic() + seconds
    while found := [host for host in APPLICATION if not settled(cluster, host, release)]:
        assert time.monotonic() < end, [(host, do(cluster, f"{RUNNING}; {HELD}", host)) for host in found]
        time.sleep(1)
    assert current(cluster) == {release}


def settled(cluster: Lab, host: str, release: str) -> bool:
    *units, held = do(cluster, f"{RUNNING}; {HELD}", host).split()
    return held in {"inactive", "unknown"} and sorted(units) == wanted(host, release)


@contextmanager
def watched(cluster: Lab) -> Iterator[list[str]]:
    """What a visitor of either web host did not get meanwhile, who comes five times a second."""
    failed: list[str] = []
    gone = threading.Event()
    threads = [threading.Thread(target=visit, args=(cluster.address_of(host), failed, gone)) for host in WEB]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        gone.set()
        for thread in threads:
            thread.join()


def visit(address: str, failed: list[str], gone: threading.Event) -> None:
    while not gone.wait(0.2):
        connection = HTTPSConnection(address, timeout=30, context=ssl._create_unverified_context())  # noqa: S323 - by address
        try:
            connection.request("GET", "/accounts/login/", headers={"Host": CLUSTER_NAME})
            status = str(connection.getresponse().status)
        except (OSError, HTTPException) as error:
            status = repr(error)
        finally:
            connection.close()
        if status != "200":
            failed.append(f"{time.strftime('%X')} {address}: {status}")


@contextmanager
def drop_in(cluster: Lab, host: str, unit: str, text: str) -> Iterator[None]:
    folder = f"/run/systemd/system/{unit}.d"
    do(cluster, f"mkdir -p {folder}; printf '{text}\\n' >{folder}/fault.conf; systemctl daemon-reload", host)
    try:
        yield
    finally:
        do(cluster, f"rm -r {folder}; systemctl daemon-reload", host)


def web_dies(cluster: Lab, release: str) -> AbstractContextManager[None]:
    return drop_in(cluster, "web2", f"gunicorn@{release}.service", DIES)


def worker_dies(cluster: Lab, release: str) -> AbstractContextManager[None]:
    return drop_in(cluster, "worker2", "celery-worker@email-next.service", DIES)


def nginx_is_kept_out(cluster: Lab, release: str) -> AbstractContextManager[None]:
    """Only seen after the switch: root may use the socket."""
    return drop_in(cluster, "web2", f"gunicorn@{release}.socket", "[Socket]\\nSocketGroup=root")


def disk_full(cluster: Lab, release: str) -> AbstractContextManager[None]:
    return faults.small_disk(cluster, left=1, host="web2")


def disk_fills(cluster: Lab, release: str) -> AbstractContextManager[None]:
    """There is room for a release like the one before."""
    return faults.small_disk(cluster, left=20, host="web2")


def nowhere(cluster: Lab, release: str) -> AbstractContextManager[None]:
    return nullcontext()


def nothing(tree: releases.Tree) -> None:
    """The release is well; a host is not."""


UNFIT, START = "Say why the release is not fit", "Start it beside the present one"


@pytest.mark.parametrize(
    ("fault", "somewhere", "host", "step", "told"),
    [
        (releases.import_error, nowhere, "worker1", UNFIT, "there_is_no_such_module"),
        (releases.failing_check, nowhere, "web1", UNFIT, "bench.E001"),
        (releases.failing_migration, nowhere, "control", "Say why it is not migrated", "there_is_no_such_table"),
        (releases.import_error_at_start, nowhere, "web1", START, "there_is_no_such_module"),
        (releases.dying_web, nowhere, "web2", START, "does not stay up"),
        (releases.dying_worker, nowhere, "worker1", START, "does not stay up"),
        (nothing, web_dies, "web2", START, "journalctl -u gunicorn@"),
        (nothing, worker_dies, "worker2", START, "does not stay up"),
        (nothing, disk_full, "web2", "See that the disk has room for it", "mounted on /srv"),
        (releases.big, disk_fills, "web2", "Unpack the source", "mounted on /srv"),
        (releases.failing_probe, nowhere, "control", "See that tasks come back", "a task is not answered"),
        (nothing, nginx_is_kept_out, "web2", "See that it is there", "is answered with 502"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_fit_on_one_host_is_on_none(  # noqa: PLR0913, PLR0917 - the table's columns
    cluster: Lab, first: str, fault: releases.Fault, somewhere: Somewhere, host: str, step: str, told: str
) -> None:
    (before,), bad = current(cluster), releases.release(f"{somewhere.__name__}-{time.time()}", fault)

    with watched(cluster) as failed:
        with somewhere(cluster, releases.name(bad)), pytest.raises(LabError) as error:
            deploy(cluster, bad)
        wait_until_only(cluster, before)

    log = (cluster.directory / "deploy.log").read_text(encoding="utf-8")
    assert f"stopped on {host} at «{step}»" in log, str(error.value)
    assert told in log
    others = [name for name in APPLICATION if name != host and f"stopped on {name} at" in log]
    assert others == [] or fault not in (nothing, releases.failing_migration, releases.failing_probe, releases.big)
    # What only nginx sees is seen by visitors too, until it has been found.
    assert [visit for visit in failed if "502" not in visit or somewhere is not nginx_is_kept_out] == []
    if fault is releases.failing_probe:
        # Its pages were seen, and name its static files; it is nothing to go back to.
        assert releases.name(bad) not in json.loads(do(cluster, "saas release list", host))["finished"]
    elif fault is not nothing:
        assert releases.name(bad) not in "".join(do(cluster, "ls /srv/saas/releases", name) for name in APPLICATION)
    else:
        deploy(cluster, bad)
        wait_until_only(cluster, releases.name(bad))


def test_a_part_of_the_site_is_refused(cluster: Lab, first: str) -> None:
    log = cluster.directory / "deploy.log"

    with pytest.raises(LabError, match="would keep another release: run it without --limit"):
        playbook.run(cluster, "deploy.yml", log, "--limit=web1,localhost", release=releases.release("part"))


def kill_the_controller(cluster: Lab, process: "subprocess.Popen[bytes]") -> AbstractContextManager[None]:
    process.kill()
    return nullcontext()


def kill_a_session(cluster: Lab, process: "subprocess.Popen[bytes]") -> AbstractContextManager[None]:
    do(cluster, "pkill -KILL -u admin", "web2")
    return nullcontext()


def cut_web2_off(cluster: Lab, process: "subprocess.Popen[bytes]") -> AbstractContextManager[None]:
    return cut_off(cluster, "web2")


ENDED, LOST = "saas-deploy.service has ended meanwhile", "web2 is not reached any more"


# The second is reached once every host has switched, and takes as long as `slow_probe`.
@pytest.mark.parametrize("step", [START, "See that tasks come back"])
@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (kill_the_controller, ("",)),
        # Where it was waiting for nothing, Ansible connects anew and is told; else it takes the host for lost.
        (kill_a_session, (ENDED, LOST)),
        (cut_web2_off, (LOST,)),
    ],
)
def test_a_connection_that_is_lost_leaves_every_host_with_the_present_one(
    cluster: Lab,
    first: str,
    lose: Callable[..., AbstractContextManager[None]],
    said: tuple[str, ...],
    step: str,
) -> None:
    (before,), release = current(cluster), releases.release(f"{time.time()}", releases.slow_probe)
    said_by = cluster.directory / "deploy.log"

    with watched(cluster) as failed, playing(cluster, "deploy.yml", said_by, release=release) as process:
        wait_for_step(said_by, f"release : {step}")
        with lose(cluster, process):
            code = process.wait(NOTICED)
            wait_until_only(cluster, before, NOTICED)

    log = said_by.read_text(encoding="utf-8")
    assert code != 0, log
    assert any(text in log for text in said), log
    assert failed == []
    deploy(cluster, release)
    wait_until_only(cluster, releases.name(release))


def test_nobody_notices_that_one_of_two_web_hosts_reboots(cluster: Lab, first: str, debian: str) -> None:
    """A load balancer, which sends visitors to the other one, is not part of this."""
    with traffic(cluster, debian, hosts=("web2",)) as visitors:
        wait(visitors, 10)
        podman("restart", "--time", "60", cluster.container("web1"), timeout=180)
        wait_until_shown(cluster, "systemctl is-system-running", "running", host="web1")
        wait(visitors, 10)
        summary = visitors.end()

    mails, tasks = audit_mails(cluster, summary.registered, visitors.run), audit_tasks(cluster)
    print("", *lines(summary), mails, tasks, sep="\n")
    assert [str(answer) for answer in summary.failed] == []
    assert mails.lost == mails.twice == []
    assert tasks.lost == tasks.begun_twice == []
