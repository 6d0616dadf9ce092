"""What this host shows of itself: units, disks, the certificate."""

import os
import ssl
import subprocess
import time
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from saas import manage
from saas.findings import CRITICAL, OK, WARNING, Finding, Limits, level, span

UNITS = (
    *(
        "gunicorn@*.service",
        "celery-worker@*.service",
        "celery-beat.service",
        "flower.service",
        "nginx.service",
        "nginx-journal.service",
    ),
    *("redis-server.service", "postgresql@*.service"),
)
# A unit that has a file here is to run on this host.
WANTED = Path("/etc/saas")
NEXT = "-next"
# A worker that a deploy has told to stop finishes what it runs, for minutes perhaps.
CHANGING = ("activating", "deactivating")
PROPERTIES = "Id,LoadState,ActiveState,SubState,NRestarts,StateChangeTimestampMonotonic"
# A unit that was restarted by itself is worth a look as long as this has not passed without another time.
CALM = 600
# Wherever data of ours grows; those on one file system are shown once.
FOLDERS = ("/", "/srv", "/var", "/var/log", "/var/log/journal", "/var/lib/postgresql", "/var/lib/redis")
# Who made the certificate; certbot's is elsewhere.
KINDS = {"selfsigned": "made on this host", "provided": "from the inventory"}
Unit = dict[str, str]


def output(*argv: str, stdin: str | None = None) -> str:
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=10, check=True).stdout


def units(limits: Limits) -> list[Finding]:
    names = wanted()
    shown = output("systemctl", "show", "--all", f"--property={PROPERTIES}", *UNITS, *names)
    memory = memory_of_units()
    present = {name: unit for name, unit in read(shown).items() if unit["LoadState"] != "not-found" or name in names}
    up = {name for name, unit in present.items() if unit["ActiveState"] == "active"}
    return [judge_unit(limits, present[name], memory[name], up) for name in sorted(present)] + failed(set(present))


def wanted() -> set[str]:
    """Patterns match what systemd has loaded, which a unit that is disabled and stopped is not."""
    names = [file.stem.removeprefix("worker-") for file in WANTED.glob("worker-*.env")]
    # The ones that a deploy starts beside them come and go.
    workers = {f"celery-worker@{name}.service" for name in names if not name.endswith(NEXT)}
    web = (WANTED / "gunicorn.env").exists() and manage.RELEASE.exists()
    return workers | ({f"gunicorn@{manage.RELEASE.resolve().name}.service"} if web else set())


def read(shown: str) -> dict[str, Unit]:
    # By newlines alone: a unit's status, which its process writes, may hold what else ends a line.
    blocks = [dict(line.split("=", 1) for line in block.split("\n")) for block in shown.strip("\n").split("\n\n")]
    return {unit["Id"]: unit for unit in blocks}


def judge_unit(limits: Limits, unit: Unit, megabytes: float, up: Collection[str] = ()) -> Finding:
    name, since, restarts = unit["Id"].removesuffix(".service"), unit_age(unit), int(unit["NRestarts"] or 0)
    facts = {"state": unit["ActiveState"], "since": since, "megabytes": megabytes, "restarts": restarts}
    if unit["ActiveState"] in CHANGING and (other := other_half(unit["Id"])) in up:
        text = f"{unit['ActiveState']} for {span(since)}, {other.removesuffix('.service')} works meanwhile"
        return Finding(OK, name, text, facts)
    if unit["ActiveState"] != "active":
        return Finding(CRITICAL, name, f"{unit['ActiveState']} ({unit['SubState']}) for {span(since)}", facts)
    text, found = f"active for {span(since)}, {megabytes:.0f} MB", level(limits, "unit_memory", megabytes)
    if found:
        text += ", which is much"
    if restarts:
        text += f", started again {restarts} times by systemd"
        found = max(found, WARNING if since < CALM else OK)
    return Finding(found, name, text, facts)


def other_half(name: str) -> str:
    """A worker's double, which stands in for it in a deploy, or whose double it is."""
    stem = name.removesuffix(".service")
    return f"{stem.removesuffix(NEXT) if stem.endswith(NEXT) else stem + NEXT}.service"


def unit_age(unit: Unit) -> float:
    return max(0.0, time.clock_gettime(time.CLOCK_MONOTONIC) - int(unit["StateChangeTimestampMonotonic"]) / 1e6)


def memory_of_units() -> dict[str, float]:
    """Resident memory in MB. What processes share is counted for each."""
    total: dict[str, float] = defaultdict(float)
    for line in output("ps", "-eo", "unit:200=,rss=").splitlines():
        unit, kilobytes = line.split()
        total[unit] += int(kilobytes) / 1024
    return total


def failed(known: set[str]) -> list[Finding]:
    rows = output("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines()
    return [Finding(WARNING, row.split()[0], "failed") for row in rows if row.split()[0] not in known]


def firewall(limits: Limits) -> list[Finding]:
    """Its unit stays active when another program empties the rules."""
    if not (WANTED / "firewall.nft").exists():
        return []
    argv = ("nft", "list", "chain", "inet", "saas", "input")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    if "policy drop" in done.stdout:
        return [Finding(OK, "firewall", "lets in what it should")]
    return [Finding(CRITICAL, "firewall", "lets everything in: its rules are gone")]


def disks(limits: Limits) -> list[Finding]:
    folders = {Path(folder).stat().st_dev: folder for folder in reversed(FOLDERS) if Path(folder).is_dir()}
    return [judge_disk(limits, folder) for folder in sorted(folders.values())]


def judge_disk(limits: Limits, folder: str) -> Finding:
    """As df counts: what is kept for root is not free. Many small files can use up the inodes."""
    found = os.statvfs(folder)
    used = found.f_blocks - found.f_bfree
    free = 100 * found.f_bavail / max(1, used + found.f_bavail)
    inodes = 100 * found.f_favail / found.f_files if found.f_files else 100
    text = f"{free:.0f} % free ({found.f_bavail * found.f_frsize / 1e9:.1f} GB), {inodes:.0f} % of the inodes"
    facts = {"free_percent": free, "free_inodes_percent": inodes}
    return Finding(level(limits, "disk_free", min(free, inodes)), f"disk {folder}", text, facts)


def certificate(limits: Limits) -> list[Finding]:
    """The one that nginx shows to visitors: a renewed file that it has not loaded helps nobody."""
    file = Path("/etc/nginx/tls/current/fullchain.pem")
    if not file.exists():
        return []
    try:
        shown = ssl.get_server_certificate(("127.0.0.1", 443), timeout=3)
    except OSError as error:
        return [Finding(CRITICAL, "certificate", f"nginx shows none: {error}")]
    ends = output("openssl", "x509", "-noout", "-enddate", stdin=shown).strip().removeprefix("notAfter=")
    moment = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
    days = (moment - datetime.now(UTC)).total_seconds() / 86400
    kind = KINDS.get(file.resolve().parent.name, "from certbot")
    text = f"ends in {days:.0f} days, on {moment:%Y-%m-%d}, {kind}"
    return [Finding(level(limits, "certificate_days", days), "certificate", text, {"days": days, "kind": kind})]
