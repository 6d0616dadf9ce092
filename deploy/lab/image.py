"""The machines' image: a bare Debian as an installer leaves it, with an `admin` who may use sudo."""

import hashlib
import subprocess
from pathlib import Path

from lab import console, paths
from lab.podman import PODMAN, podman, succeeds
from lab.shell import LabError, attempt, end, root

SUITES = {"12": "bookworm", "13": "trixie"}
PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,python3,python3-apt,sudo,ca-certificates,iproute2,procps,netbase,udev"
)
HOOKS = (
    'chroot "$1" useradd --create-home --shell /bin/bash --groups sudo,adm,systemd-journal admin',
    'install -d -m 0700 "$1/home/admin/.ssh" && chroot "$1" chown admin: /home/admin/.ssh',
    'echo "admin ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/admin" && chmod 0440 "$1/etc/sudoers.d/admin"',
    # Every machine makes its own host keys and machine id when it boots for the first time.
    'rm -f "$1"/etc/ssh/ssh_host_* && : >"$1/etc/machine-id"',
    'mkdir -p "$1/etc/systemd/system/ssh.service.d"',
    'printf "[Service]\\nExecStartPre=\\nExecStartPre=/usr/bin/ssh-keygen -A\\nExecStartPre=/usr/sbin/sshd -t\\n"'
    ' >"$1/etc/systemd/system/ssh.service.d/host-keys.conf"',
    'chroot "$1" systemctl enable ssh.service',
)


def recipe(suite: str) -> list[str]:
    hooks = [f"--customize-hook={hook}" for hook in HOOKS]
    return ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}", *hooks, suite, "-"]


def archive(debian: str) -> Path:
    digest = hashlib.sha256("\0".join(recipe(SUITES[debian])).encode()).hexdigest()[:12]
    return paths.IMAGES / f"debian{debian}-{digest}.tar"


def name(debian: str) -> str:
    """Each clone imports its own, so that none can take it from under another."""
    return f"localhost/saas-{paths.CLONE}:{archive(debian).stem}"


def ensure(debian: str) -> str:
    tar = archive(debian)
    if not tar.exists():
        console.say(f"Building Debian {debian} with mmdebstrap; this takes about a minute, once.")
        build(debian, tar)
    if not succeeds("image", "exists", name(debian)):
        podman("import", str(tar), name(debian), timeout=300)
    return name(debian)


def build(debian: str, tar: Path) -> None:
    """Whole or not at all: written beside its place and renamed."""
    tar.parent.mkdir(parents=True, exist_ok=True)
    part = tar.with_suffix(f".part")
    log = tar.with_suffix(".log")
    # In a mount and process namespace of its own it takes its mounts with it, however it ends.
    argv = root("unshare", "--mount", "--pid", "--fork", "--kill-child", *recipe(SUITES[debian]))
    with part.open("wb") as output, log.open("w", encoding="utf-8") as record, console.Live() as live:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        try:
            for line in process.stderr or ():
                record.write(line)
                live.show("mmdebstrap " + line.removeprefix("I: ").strip())
            code = process.wait()
        finally:
            end(process)
    if code:
        raise LabError(f"mmdebstrap failed; its last words:\n{tail(log)}\n    All of them: {log}")
    part.rename(tar)


def tail(log: Path, lines: int = 12) -> str:
    return "\n".join("    " + line for line in log.read_text(encoding="utf-8").splitlines()[-lines:])


def forget(debian: str) -> None:
    """Out of podman unless a machine still uses it; the built archive stays."""
    attempt(root(*PODMAN, "image", "rm", name(debian)))
