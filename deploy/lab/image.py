"""The machines' image: a bare Debian as an installer leaves it, with an `admin` who may use sudo."""

import hashlib
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from lab import console, paths, scratch
from lab.podman import PODMAN, podman, succeeds
from lab.shell import LabError, attempt, root

# Each clone imports its own, so that none can take it from under another.
REPOSITORY = f"localhost/saas-{paths.CLONE}"
SUITES = {"12": "bookworm", "13": "trixie"}
PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,python3,python3-apt,sudo,ca-certificates,iproute2,procps,netbase,udev"
)
HOOKS = (
    'chroot "$1" useradd --create-home --shell /bin/bash --groups sudo,adm,systemd-journal admin',
    'chroot "$1" install -d -m 0700 -o admin -g admin /home/admin/.ssh',
    'echo "admin ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/admin" && chmod 0440 "$1/etc/sudoers.d/admin"',
    'echo "LANG=C.UTF-8" >"$1/etc/default/locale"',
    # Every machine makes its own host keys and machine id when it boots for the first time.
    'rm -f "$1"/etc/ssh/ssh_host_* && : >"$1/etc/machine-id"',
    'mkdir -p "$1/etc/systemd/system/ssh.service.d"',
    'printf "[Service]\\nExecStartPre=\\nExecStartPre=/usr/bin/ssh-keygen -A\\nExecStartPre=/usr/sbin/sshd -t\\n"'
    ' >"$1/etc/systemd/system/ssh.service.d/host-keys.conf"',
    'chroot "$1" systemctl enable ssh.service',
)


# Old like an installer's: with today's date the emptied package lists would pass for fresh ones.
EPOCH = "SOURCE_DATE_EPOCH=1700000000"


def recipe(suite: str) -> list[str]:
    hooks = [f"--customize-hook={hook}" for hook in HOOKS]
    return ["env", EPOCH, "mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}", *hooks, suite, "-"]


def archive(debian: str) -> Path:
    digest = hashlib.sha256("\0".join(recipe(SUITES[debian])).encode()).hexdigest()[:12]
    return paths.IMAGES / f"debian{debian}-{digest}.tar"


def name(debian: str) -> str:
    return f"{REPOSITORY}:{archive(debian).stem}"


def lock() -> AbstractContextManager[None]:
    """To be held from `ensure` until a machine uses the image, so that nobody forgets it in between."""
    return scratch.lock("image")


def ensure(debian: str) -> None:
    """Build and import what is missing of it."""
    if not archive(debian).exists():
        console.say(f"Building Debian {debian} with mmdebstrap: about a minute, this first time only.")
        build(debian)
    if not succeeds("image", "exists", name(debian)):
        podman("import", str(archive(debian)), name(debian), timeout=300)


def build(debian: str) -> None:
    """Whole or not at all: written elsewhere and renamed."""
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    log = archive(debian).with_suffix(".log")
    with scratch.folder() as folder:
        if bootstrap(SUITES[debian], folder, log):
            raise LabError(f"mmdebstrap failed. Its last words:\n{tail(log)}\n    All of them: {log}")
        for outdated in paths.IMAGES.glob(f"debian{debian}-*.tar"):
            outdated.unlink()
        (folder / "image.tar").rename(archive(debian))


def bootstrap(suite: str, folder: Path, log: Path) -> int:
    # In a mount and process namespace of its own it takes its mounts with it, however it ends.
    apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "env", f"TMPDIR={folder}")
    with (folder / "image.tar").open("wb") as tar, log.open("w", encoding="utf-8") as record, console.Live() as live:
        process = subprocess.Popen(
            root(*apart, *recipe(suite)),
            stdin=subprocess.DEVNULL,
            stdout=tar,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        try:
            for line in process.stderr or ():
                record.write(line)
                live.show("mmdebstrap: " + line.removeprefix("I: ").strip())
            return process.wait()
        finally:
            # Interrupted, unshare would wait for its child; with it killed, its child is.
            scratch.end_users(folder)
            process.wait()


def tail(log: Path, lines: int = 12) -> str:
    return "\n".join("    " + line for line in log.read_text(encoding="utf-8").splitlines()[-lines:])


def forget() -> None:
    """Out of podman, all that this clone imported, unless a machine still uses it; the built archive stays."""
    with lock():
        listed = podman("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}")
        for image in listed.split():
            attempt(root(*PODMAN, "image", "rm", image))
