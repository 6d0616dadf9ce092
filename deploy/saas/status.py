import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

from saas import answers, host, manage, service
from saas.findings import CRITICAL, Finding, Limits, load, printable

WORDS = ("ok", "WARNING", "CRITICAL")
COLOURS = ("\033[32m", "\033[33m", "\033[31m")
Part = Callable[[Limits], list[Finding]]


def run(arguments: argparse.Namespace) -> int:
    known = load()
    parts: list[Part] = [host.units, answers.answers, service.look, host.firewall, host.disks, host.certificate]
    findings = [finding for part in parts for finding in attempt(part, known)]
    worst = max(finding.level for finding in findings)
    print(as_json(findings, worst) if arguments.json else as_text(findings, worst))
    return worst


def attempt(part: Part, known: Limits) -> list[Finding]:
    """One part that cannot be asked does not hide the others."""
    try:
        return part(known)
    except (
        OSError,
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        subprocess.SubprocessError,
    ) as error:
        return [Finding(CRITICAL, part.__name__, f"cannot be asked: {type(error).__name__}: {error}")]


def release() -> str:
    return manage.RELEASE.resolve().name if manage.RELEASE.exists() else "none on this host"


def as_json(findings: list[Finding], worst: int) -> str:
    shown = [{**asdict(finding), "level": WORDS[finding.level].lower()} for finding in findings]
    return json.dumps(
        {"host": socket.gethostname(), "release": release(), "status": WORDS[worst].lower(), "findings": shown}
    )


def as_text(findings: list[Finding], worst: int) -> str:
    wrong = ", ".join(finding.name for finding in findings if finding.level)
    rows = [f"{word(finding.level)} {printable(f'{finding.name:<24} {finding.text}')}" for finding in findings]
    end = f"{WORDS[worst]}: {printable(wrong)}" if wrong else "All is fine."
    return "\n".join([f"{socket.gethostname()}, release {release()}", *rows, end])


def word(level: int) -> str:
    padded = f"{WORDS[level]:<8}"
    colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"{COLOURS[level]}{padded}\033[0m" if colourful else padded
