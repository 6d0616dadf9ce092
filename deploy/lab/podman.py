"""The few things the lab wants of podman."""

import resource

from lab.shell import attempt, root, run

# crun refuses the hybrid cgroup layout that some hosts still have; runc takes all of them.
PODMAN = ("podman", "--runtime", "runc")


def podman(*args: str, stdin: str | None = None, timeout: float = 120) -> str:
    return run(root(*PODMAN, *args), stdin=stdin, timeout=timeout)


def succeeds(*args: str) -> bool:
    return attempt(root(*PODMAN, *args)).returncode == 0


def ensure_running(container: str, *run_args: str) -> bool:
    """Start the container or make it; whether it is new. One that no longer starts is made anew."""
    state = attempt(root(*PODMAN, "inspect", "--type", "container", "--format", "{{.State.Status}}", container))
    if state.stdout.strip() == "running":
        return False
    if state.returncode == 0:
        if succeeds("start", container):
            return False
        remove(container)
    podman("run", "--detach", "--name", container, *limits(), *run_args)
    return True


def remove(*containers: str) -> None:
    """On a busy computer a machine may take longer to die than podman waits; the second time it is dead."""
    command = ("rm", "--force", "--ignore", "--volumes", "--time", "0", *containers)
    if containers and not succeeds(*command):
        podman(*command)


def limits() -> list[str]:
    """Where root may not raise limits, podman's own defaults are refused: stay within the host's."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return [
        *(["--ulimit", f"nofile={files}:{files}"] if files != resource.RLIM_INFINITY else []),
        *(["--ulimit", f"nproc={min(processes, 32768)}:{min(processes, 32768)}"] if processes > 0 else []),
    ]
