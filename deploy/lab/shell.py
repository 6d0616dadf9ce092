"""Commands on this host, as the user or as root."""

import functools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import console


class LabError(Exception):
    """Something a person has to know or do; its text is a sentence for them."""


def run(argv: Sequence[str], *, stdin: str | None = None, timeout: float | None = 600) -> str:
    """Return what the command prints; LabError with its own words when it fails."""
    done = attempt(argv, stdin=stdin, timeout=timeout)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-12:]
        raise LabError(f"{shlex.join(argv)} failed:\n    " + "\n    ".join(words))
    return done.stdout


def attempt(
    argv: Sequence[str], *, stdin: str | None = None, timeout: float | None = 600
) -> subprocess.CompletedProcess[str]:
    try:
        # An empty input rather than the terminal's: nothing here may wait for a person.
        return subprocess.run(
            argv, input=stdin or "", capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{shlex.join(argv)} did not end within {timeout:.0f} s.") from error
    except FileNotFoundError as error:
        raise LabError(f"The command {argv[0]} is missing on this machine.") from error


def stream(
    argv: Sequence[str],
    log: Path,
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a long command, its output going to the log and line by line to on_line; return its exit code."""
    with log.open("a", encoding="utf-8") as record:
        process = subprocess.Popen(
            # A playbook that outlived its starter would get in the way of the next one.
            ["setpriv", "--pdeathsig", "TERM", *argv],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            for line in process.stdout or ():
                record.write(line)
                on_line(line.rstrip("\n"))
            return process.wait()
        finally:
            end(process)


def end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is not None:
        return
    send(process, signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        send(process, signal.SIGKILL)
        process.wait()


def send(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except PermissionError:
        # What runs behind sudo is root's.
        attempt(root("kill", f"-{number.name.removeprefix('SIG')}", str(process.pid)))


def root(*argv: str) -> list[str]:
    """The command as root's: itself, or behind sudo."""
    if os.geteuid() == 0:
        return list(argv)
    require_root()
    return ["sudo", *([] if sys.stdin.isatty() else ["-n"]), *argv]


@functools.cache
def require_root() -> None:
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise LabError("The lab needs root for its containers, and sudo is not installed: run this as root.")
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return
    if not sys.stdin.isatty():
        raise LabError(
            "The lab needs root for its containers: run this as root, or let this user use sudo without a password."
        )
    console.say("The lab needs root for packages and containers, so sudo may ask for your password.")
    if subprocess.run(["sudo", "-v"], check=False).returncode:
        raise LabError("sudo refused. Run this as root, or as a user who may use sudo.")
