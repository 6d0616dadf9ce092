"""What the lab and the tests need on this host, and how it gets there."""

from pathlib import Path

from lab import console, paths
from lab.shell import LabError, attempt, require_root, root, stream

LAB = ("aardvark-dns", "git", "iptables", "mmdebstrap", "netavark", "openssh-client", "podman", "runc", "uidmap")
# The applications' tests start their own servers from the distribution's packages, and a browser.
TESTS = ("chromium", "chromium-driver", "logrotate", "postgresql", "redis-server", "vagrant")
UNITS = {"postgresql": "postgresql.service", "redis-server": "redis-server.service"}
LISTS = Path("/var/lib/apt/lists")
# Only systemctl reads this: what a package would start or reload is left alone.
QUIET = ("env", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_OFFLINE=1", "RUNLEVEL=1")
APT = ("apt-get", "--yes", "--quiet", "--option", "DPkg::Lock::Timeout=600")


def ensure(*packages: str) -> None:
    require_debian()
    require_root()
    wanted = missing(packages)
    if not wanted:
        console.ok("all there")
        return
    console.say(f"Installing with apt-get: {' '.join(wanted)}")
    try:
        install(wanted)
    finally:
        keep_stopped(wanted)


def keep_stopped(packages: list[str]) -> None:
    """The tests start servers of their own; the packages' are not to start with this computer."""
    units = [UNITS[package] for package in packages if package in UNITS]
    if units and Path("/run/systemd/system").exists():
        attempt(root("systemctl", "disable", *units))


def require_debian() -> None:
    release = Path("/etc/os-release")
    text = release.read_text(encoding="utf-8") if release.exists() else ""
    if "\nID=debian\n" not in f"\n{text}\n":
        raise LabError("The lab boots Debian machines with Debian's own tools, and this computer does not run Debian.")


def missing(packages: tuple[str, ...]) -> list[str]:
    shown = attempt(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Abbrev}\n", *packages]).stdout
    present = {line.split()[0] for line in shown.splitlines() if line.split()[1:] == ["ii"]}
    return [package for package in packages if package not in present]


def install(packages: list[str]) -> None:
    log = paths.LAB_DIR / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with console.Live() as live:
        if not any(LISTS.glob("*_Packages*")):
            update(log, live)
        if apt(log, live, "install", "--no-install-recommends", *packages):
            # Old lists name packages that the archive has since replaced.
            update(log, live)
            if apt(log, live, "install", "--no-install-recommends", *packages):
                raise LabError(f"apt-get could not install {' '.join(packages)}; its output is in {log}")


def update(log: Path, live: console.Live) -> None:
    apt(log, live, "update")


def apt(log: Path, live: console.Live, *args: str) -> int:
    return stream(root(*QUIET, *APT, *args), log, lambda line: live.show(f"apt-get: {line}"))
