"""The faults of docs/on-call.md, brought about on a machine of the lab, and taken away again."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lab.labs import Lab
from lab.podman import podman
from tests.lab.hosts import do, wait_until_shown

HERE = Path(__file__).parent
POISON = HERE.parent / "integration/poison.py"
WORKER = "celery-worker@celery"
DROP_IN = f"/run/systemd/system/{WORKER}.service.d/poison.conf"
LIMITS = "/etc/saas/limits.json"
CERTIFICATE = "/etc/nginx/tls/current"
REFUSED = "User.objects.get_or_create(username='refused', email='refused@example.org')[0]"
Fault = Callable[[Lab], AbstractContextManager[None]]


def copy(lab: Lab, source: Path, destination: str) -> None:
    podman("cp", str(source), f"{lab.container('saas')}:{destination}")


def python(lab: Lab, script: str) -> None:
    do(lab, shlex.join(["saas", "manage", "shell", "--command", script]))


def send(lab: Lab, task: str, queue: str = "celery", args: tuple[object, ...] = (), **options: object) -> None:
    call = f"send_task({task!r}, {args!r}, queue={queue!r}, **{options!r})"
    python(lab, f"from config.celery import app; app.{call}")


@contextmanager
def kept(lab: Lab, file: str) -> Iterator[None]:
    """Whatever becomes of the file meanwhile."""
    do(lab, f"cp --preserve=all {file} {file}.kept")
    try:
        yield
    finally:
        do(lab, f"mv {file}.kept {file}")


@contextmanager
def impatience(lab: Lab, **limits: tuple[float, float]) -> Iterator[None]:
    """Lower limits, so that what takes minutes shows within seconds."""
    with kept(lab, LIMITS):
        changed = json.loads(do(lab, f"cat {LIMITS}")) | limits
        do(lab, f"echo {shlex.quote(json.dumps(changed))} >{LIMITS}")
        yield


@contextmanager
def poisonous_worker(lab: Lab) -> Iterator[None]:
    """The worker `celery` also knows tasks that hang, leak and kill."""
    command = do(lab, f"sed -n 's/^ExecStart=//p' /etc/systemd/system/{WORKER.partition('@')[0]}@.service").strip()
    lines = ["[Service]", "Environment=PYTHONPATH=/opt/poison", "ExecStart=", f"ExecStart={command} -I poison"]
    # A fault is to last until it has been found; test_site_watchdog.py has what the watchdog does.
    lines += ["WatchdogSec=0"]
    do(lab, f"mkdir -p /opt/poison {DROP_IN.rpartition('/')[0]}")
    copy(lab, POISON, "/opt/poison/poison.py")
    do(lab, f"printf '%s\\n' {shlex.join(lines)} >{DROP_IN}; systemctl daemon-reload; systemctl restart {WORKER}")
    try:
        yield
    finally:
        do(lab, f"rm -r {DROP_IN.rpartition('/')[0]} /opt/poison; systemctl daemon-reload")
        do(lab, f"systemctl restart {WORKER}")
        poisonous = "TaskRecord.objects.filter(task__startswith='poison.')"
        python(lab, f"for rows in ({poisonous}, DeadLetter.objects.all(), {REFUSED}): rows.delete()")


@contextmanager
def stopped(lab: Lab, unit: str) -> Iterator[None]:
    do(lab, f"systemctl stop {unit}")
    try:
        yield
    finally:
        do(lab, f"systemctl start {unit}")


@contextmanager
def silenced(lab: Lab, unit: str) -> Iterator[None]:
    """It runs, for all that systemd knows."""
    do(lab, f"systemctl kill --signal STOP {unit}")
    try:
        yield
    finally:
        do(lab, f"systemctl kill --signal CONT {unit}")


@contextmanager
def site_hangs(lab: Lab) -> Iterator[None]:
    gunicorn = "'gunicorn@*.service'"
    with silenced(lab, gunicorn):
        yield
    # systemd forgets that it had to start it again, which is a warning for ten minutes.
    do(lab, f"systemctl restart {gunicorn}")


@contextmanager
def worker_stopped(lab: Lab) -> Iterator[None]:
    with stopped(lab, "celery-worker@email"):
        send(lab, "core.tasks.send_welcome_email", "email", (0, "https://example.org/"))
        yield


@contextmanager
def worker_hangs(lab: Lab) -> Iterator[None]:
    with impatience(lab, oldest_task=(3, 900)), silenced(lab, WORKER):
        # The first may still be taken by what the worker asked Redis before.
        for _ in range(2):
            send(lab, "core.tasks.forget_rate_limits")
        yield


@contextmanager
def task_kills(lab: Lab) -> Iterator[None]:
    send(lab, "poison.kill_own_process")
    yield
    # The fifth run of it is the last. Until then it kills whichever process of the worker takes it.
    wait_until_shown(lab, "saas manage dead_letters list", "poison.kill_own_process")


@contextmanager
def task_leaks(lab: Lab) -> Iterator[None]:
    with impatience(lab, unit_memory=(600, 4000)):
        send(lab, "poison.leak", args=(400,))
        yield


@contextmanager
def task_hangs(lab: Lab) -> Iterator[None]:
    send(lab, "poison.hang", soft_time_limit=1, time_limit=5)
    yield


@contextmanager
def broker_stopped(lab: Lab) -> Iterator[None]:
    with stopped(lab, "redis-server"):
        yield


@contextmanager
def database_stopped(lab: Lab) -> Iterator[None]:
    with stopped(lab, "postgresql"):
        yield


@contextmanager
def flower_stopped(lab: Lab) -> Iterator[None]:
    with stopped(lab, "flower"):
        yield


@contextmanager
def mail_server(lab: Lab, *answers: str) -> Iterator[None]:
    """Another one, at the address of the lab's; smtp.py says what the answers are."""
    do(lab, "mkdir -p /opt/smtp")
    copy(lab, HERE / "smtp.py", "/opt/smtp/smtp.py")
    do(lab, f"ip address add {lab.mail_address}/32 dev lo")
    do(lab, f"systemd-run --quiet --collect --unit smtp python3 /opt/smtp/smtp.py {shlex.join(answers)}")
    try:
        wait_until_shown(lab, "ss --listening --tcp --numeric", ":1025")
        yield
    finally:
        do(lab, f"systemctl stop smtp; ip address del {lab.mail_address}/32 dev lo; rm -r /opt/smtp")


@contextmanager
def mail_refused(lab: Lab) -> Iterator[None]:
    with mail_server(lab, "550 5.7.1 refused by policy"):
        mail = f"send_welcome_email.delay({REFUSED}.pk, 'https://example.org/')"
        python(lab, f"from core.tasks import send_welcome_email; {mail}")
        yield


@contextmanager
def disk_full(lab: Lab) -> Iterator[None]:
    """A small file system where Redis, which is not to write meanwhile, has its own."""
    place = "/var/lib/redis"
    do(lab, f"mount -t tmpfs -o size=20m tmpfs {place}; head --bytes 20M /dev/zero >{place}/big || true")
    try:
        yield
    finally:
        do(lab, f"umount {place}")


@contextmanager
def small_disk(lab: Lab, left: int, host: str = "saas") -> Iterator[None]:
    """What is in /srv, on a disk of its own with so many megabytes left."""
    do(
        lab,
        "mkdir -p /mnt/small; mount -t tmpfs -o size=$(($(du -sm /srv | cut -f 1) + 20))m small /mnt/small;"
        f" cp -a /srv/. /mnt/small/; head --bytes $(($(df --output=avail -B 1 /mnt/small | tail -1) - {left}000000))"
        " /dev/zero >/mnt/small/filler; mount --bind /mnt/small /srv",
        host,
    )
    try:
        yield
    finally:
        do(lab, "umount --lazy /srv; umount --lazy /mnt/small", host)


@contextmanager
def firewall_emptied(lab: Lab) -> Iterator[None]:
    do(lab, "nft flush ruleset")
    try:
        yield
    finally:
        do(lab, "systemctl restart saas-firewall")


@contextmanager
def certificate_ends(lab: Lab) -> Iterator[None]:
    with kept(lab, f"{CERTIFICATE}/fullchain.pem"):
        new = (
            f"openssl req -x509 -key {CERTIFICATE}/privkey.pem -days 3 -subj /CN=saas -out {CERTIFICATE}/fullchain.pem"
        )
        do(lab, f"{new}; systemctl reload nginx")
        yield


@contextmanager
def beat_hangs(lab: Lab) -> Iterator[None]:
    with impatience(lab, beat_silence=(12, 300)), silenced(lab, "celery-beat"):
        yield
