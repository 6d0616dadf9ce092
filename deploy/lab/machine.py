"""One machine: a container with systemd as its first process, reached over SSH like any VM."""

import time

from lab import image
from lab.labs import FIRST_MACHINE, Lab
from lab.podman import PODMAN, ensure_running, podman
from lab.shell import LabError, attempt, root, run

BOOT_SECONDS = 90


def ensure(lab: Lab, host: str = "saas", *, number: int = FIRST_MACHINE, debian: str = "12") -> bool:
    """Boot the machine unless it runs; whether it is new."""
    new = ensure_running(
        lab.container(host),
        *("--systemd=always", "--privileged", "--hostname", host),
        *(f"--network={network}:ip={lab.address(number, network)},alias={host}" for network in lab.networks),
        *(f"--volume={volume}" for volume in lab.volumes),
        *lab.labels,
        image.name(debian),
        "/lib/systemd/systemd",
    )
    wait_for_systemd(lab, host)
    authorize(lab, host)
    remember_host_key(lab, host, lab.address(number))
    wait_for_ssh(lab, lab.address(number))
    return new


def refuse_another_debian(lab: Lab, debian: str, host: str = "saas") -> None:
    name = attempt(root(*PODMAN, "inspect", "--format", "{{.ImageName}}", lab.container(host))).stdout.strip()
    if name and f":debian{debian}-" not in name:
        raise LabError(f"The lab's machine is not Debian {debian}: make down removes it, then make up makes a new one.")


def execute(lab: Lab, host: str, *argv: str, stdin: str | None = None) -> str:
    return podman("exec", *(["--interactive"] if stdin is not None else []), lab.container(host), *argv, stdin=stdin)


def wait_for_systemd(lab: Lab, host: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        asked = attempt(root(*PODMAN, "exec", lab.container(host), "systemctl", "is-system-running", "--wait"))
        # A machine that was broken by hand comes back degraded: the playbook is there to mend it.
        if asked.stdout.strip() in {"running", "degraded"}:
            return
        time.sleep(0.3)
    raise LabError(
        f"{lab.container(host)} did not boot within {BOOT_SECONDS} s; see: podman logs {lab.container(host)}"
    )


def authorize(lab: Lab, host: str) -> None:
    if not lab.key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", lab.network, "-f", str(lab.key)])
    public = lab.key.with_suffix(".pub").read_text(encoding="utf-8")
    script = "umask 077; cat >~admin/.ssh/authorized_keys; chown admin: ~admin/.ssh/authorized_keys"
    execute(lab, host, "sh", "-c", script, stdin=public)


def remember_host_key(lab: Lab, host: str, address: str) -> None:
    """Read from inside, so that no first connection has to be trusted blindly."""
    key = " ".join(execute(lab, host, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    known = lab.known_hosts.read_text(encoding="utf-8").splitlines() if lab.known_hosts.exists() else []
    others = [line for line in known if line.split()[0] != address]
    lab.known_hosts.write_text("\n".join([*others, f"{address} {key}"]) + "\n", encoding="utf-8")


def ssh_options(lab: Lab) -> list[str]:
    """No personal ssh configuration: a ProxyJump or a key agent of one's own has no business here."""
    options = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        f'UserKnownHostsFile="{lab.known_hosts}"',
    ]
    return ["-F", "none", *(word for option in options for word in ("-o", option))]


def ssh(lab: Lab, address: str, *command: str) -> list[str]:
    return ["ssh", *ssh_options(lab), "-i", str(lab.key), f"admin@{address}", *command]


def wait_for_ssh(lab: Lab, address: str) -> None:
    for _ in range(60):
        asked = attempt(ssh(lab, address, "sudo", "true"))
        if asked.returncode == 0:
            return
        time.sleep(0.3)
    raise LabError(f"SSH to admin@{address} does not answer: {asked.stderr.strip()}")


def journal(lab: Lab, host: str) -> str:
    """What it says, the errors of this boot first; through podman, since SSH may be what broke."""
    errors = execute(lab, host, "journalctl", "--boot", "--priority", "err", "--no-pager", "--lines", "40")
    # Without the lab's own comings and goings.
    quiet = "journalctl --boot --no-pager | grep -Ev ' (sshd|sudo|systemd-logind)\\[' | tail -n 80"
    latest = execute(lab, host, "sh", "-c", quiet)
    return f"Errors:\n{errors}\nThe last lines:\n{latest}"
