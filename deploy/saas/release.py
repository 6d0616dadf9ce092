"""How a release takes another's place on this host. deploy.yml and rollback.yml do this, in this order."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from saas import links, running, verify
from saas.host import output
from saas.links import UnfitError

HOLD = "saas-deploy.service"
# Seconds that a unit has to live to be taken for well, and between the last connection to the old socket and its end.
STEADY, SETTLED = 3, 1
# How long the workers of the last deploy may take to finish before the next one gives up.
PATIENCE = 900
RETIRED = "Fetches nothing more"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(metavar="STEP", required=True)
    for step in (listing, hold, start, retire, switch, check, finish, settle):
        command = steps.add_parser({"listing": "list"}.get(step.__name__, step.__name__), help=step.__doc__)
        command.set_defaults(step=step)
        if step in (hold, start, retire, switch, check, finish):
            command.add_argument("release", help="its folder in /srv/saas/releases")
        if step is hold:
            command.add_argument("--by", required=True, help="who wants it")
            command.add_argument("--kind", choices=("deploy", "rollback"), default="deploy")
        if step is check:
            command.add_argument("--queues", action="store_true", help="send a task through each queue too")


def run(arguments: argparse.Namespace) -> int:
    try:
        arguments.step(arguments)
    except UnfitError as error:
        print(f"saas: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"saas: {' '.join(error.cmd)}: {(error.stderr or '').strip()}", file=sys.stderr)
        return 1
    return 0


def listing(arguments: argparse.Namespace) -> None:
    """which releases there are, the latest first, as JSON"""
    named = {link: links.target(link) for link in ("current", "previous")}
    print(json.dumps({"finished": links.finished(), **named}))


def hold(arguments: argparse.Namespace) -> None:
    """keep other deploys away for as long as the caller's connection lasts; then settle"""
    refuse_a_second_one(arguments)
    wait(drained, PATIENCE, "the workers of the last deploy have not finished their tasks")
    environment = {
        "DEPLOY_KIND": arguments.kind,
        "DEPLOY_BY": " ".join(arguments.by.split()),
        "DEPLOY_FROM": links.target("current"),
        "DEPLOY_TO": arguments.release,
        "DEPLOY_SINCE": str(time.time()),
    }
    argv = ["systemd-run", "--quiet", "--collect", f"--unit={HOLD}"]
    argv += [f"--description={arguments.kind} of {arguments.release} by {arguments.by}"]
    argv += [f"--setenv={name}={value}" for name, value in environment.items()]
    argv += ["--property=ExecStopPost=/usr/local/bin/saas release settle", "--property=TimeoutStopSec=300"]
    done = subprocess.run([*argv, "tail", f"--pid={connection()}", "--follow", "/dev/null"], check=False)
    if done.returncode:
        refuse_a_second_one(arguments)
        raise UnfitError(f"{HOLD} could not be started")


def refuse_a_second_one(arguments: argparse.Namespace) -> None:
    with suppress(UnfitError):
        # One that was cut off is being settled.
        wait(lambda: state(HOLD) != "deactivating", 60, "")
    if state(HOLD) in ("active", "activating", "deactivating"):
        fields = output("systemctl", "show", "--property=Description,ActiveEnterTimestamp", HOLD).splitlines()
        shown = dict(line.split("=", 1) for line in fields)
        raise UnfitError(
            f"no {arguments.kind} now: {shown['Description']} is under way since {shown['ActiveEnterTimestamp']}."
            f" It holds this host as long as its connection lasts; `systemctl stop {HOLD}` ends it."
        )


def state(unit: str) -> str:
    return output("systemctl", "show", "--property=ActiveState", "--value", unit).strip()


def connection() -> int:
    """The nearest sshd above this process, which ends with the connection; without one, the topmost process."""
    process, above = os.getpid(), os.getppid()
    while above > 1:
        process = above
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        if name.startswith("sshd"):
            break
        above = int(rest[1])
    return process


def drained() -> bool:
    known = running.show(*running.workers(), *map(running.beside, running.workers()))
    busy = [name for name, unit in known.items() if unit["ActiveState"] == "deactivating"]
    beside = [name for name in map(running.beside, running.workers()) if known[name]["ActiveState"] == "active"]
    return not busy and not beside


def start(arguments: argparse.Namespace) -> None:
    """run its web processes and workers beside the present ones, and see that they are well"""
    release = arguments.release
    links.lead("next", release)
    web, units = running.web(release), [*running.web(release), *map(running.beside, running.workers())]
    if not units:
        return
    try:
        running.systemctl("start", units)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise UnfitError(f"its processes do not start. {told(units)}") from error
    began = time.monotonic()
    proofs: list[Callable[[], None]] = [lambda: verify.steady(units, release)]
    proofs += [lambda: verify.by_socket(release)] if web else []
    prove(proofs)
    time.sleep(max(0, STEADY - (time.monotonic() - began)))
    prove(proofs)


def prove(proofs: Iterable[Callable[[], None]]) -> None:
    for proof in proofs:
        proof()


def told(units: Iterable[str]) -> str:
    bad = [name for name, unit in running.show(*units).items() if unit["ActiveState"] != "active"]
    return "\n".join(running.words(name) for name in bad)


def retire(arguments: argparse.Namespace) -> None:
    """tell the workers of other releases to fetch nothing more; they finish what they run"""
    known = running.show(*running.workers())
    old = [name for name, unit in known.items() if unit["MainPID"] != "0"]
    old = [name for name in old if running.release_of(known[name]) != arguments.release]
    running.systemctl("stop", old, "--no-block")
    wait(lambda: all(map(retired, running.show(*old).values())), 20, "an old worker goes on to fetch tasks")


def retired(unit: dict[str, str]) -> bool:
    return unit["MainPID"] == "0" or unit["StatusText"].startswith(RETIRED)


def switch(arguments: argparse.Namespace) -> None:
    """let /srv/saas/current lead to it, which sends new requests there"""
    old = links.target("current")
    # It has run already where a deploy was cut off half-way through the hosts.
    if old == arguments.release:
        return
    running.systemctl("enable", running.web(arguments.release))
    links.lead("previous", old)
    links.lead("current", arguments.release)


def check(arguments: argparse.Namespace) -> None:
    """ask nginx, the units and each queue whether it is there"""
    if running.web(arguments.release):
        verify.by_nginx(arguments.release)
    units = [*running.web(arguments.release), *map(running.beside, running.workers())]
    verify.steady(units, arguments.release)
    if arguments.queues:
        verify.through_queues(arguments.release)


def finish(arguments: argparse.Namespace) -> None:
    """make it one that may be gone back to"""
    links.finish(arguments.release)


def settle(arguments: argparse.Namespace) -> None:
    """end what does not belong to /srv/saas/current any more; done whenever a hold ends, however it ends"""
    current = links.target("current")
    try:
        settle_web(current)
        settle_workers(current)
        links.prune()
    finally:
        note(current)


def settle_web(current: str) -> None:
    old = running.other_webs(current)
    if not old:
        return
    # What nginx connected to the old socket just before the switch is taken up before it closes.
    time.sleep(SETTLED)
    running.systemctl("disable", (name for name in old if name.endswith(".service")))
    running.systemctl("stop", old, "--no-block")


def settle_workers(current: str) -> None:
    known = running.show(*running.workers(), *running.single())
    elsewhere = [name for name, unit in known.items() if running.release_of(unit) != current]
    running.systemctl("restart", elsewhere, "--no-block")
    # One that was told to stop, by a deploy that then failed, is wanted after all.
    there = [name for name in known if name not in elsewhere]
    running.systemctl("start", there, "--no-block")
    # A worker that starts with the current release ends the one beside it as soon as it is ready.
    beside = running.show(*map(running.beside, running.workers()))
    foreign = [name for name, unit in beside.items() if running.release_of(unit) not in ("", current)]
    idle = [running.beside(name) for name in running.workers() if name in there]
    running.systemctl("stop", {*foreign, *idle}, "--no-block")


def note(current: str) -> None:
    """One entry: `journalctl -t saas-deploy`."""
    known = {name: os.environ.get(name, "") for name in ("DEPLOY_KIND", "DEPLOY_BY", "DEPLOY_FROM", "DEPLOY_TO")}
    if not known["DEPLOY_TO"]:
        return
    seconds = round(time.time() - float(os.environ["DEPLOY_SINCE"]), 1)
    done = current == known["DEPLOY_TO"]
    outcome = f"{current} took the place of {known['DEPLOY_FROM']}" if done else f"not done, {current} goes on"
    message = f"{known['DEPLOY_KIND']} of {known['DEPLOY_TO']} by {known['DEPLOY_BY']}: {outcome}, after {seconds} s"
    fields = {
        "MESSAGE": message,
        "PRIORITY": "5" if done else "4",
        "SYSLOG_IDENTIFIER": "saas-deploy",
        **known,
        "DEPLOY_SECONDS": str(seconds),
        "DEPLOY_ENDED": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    entry = "\n".join(f"{name}={value}" for name, value in fields.items()) + "\n"
    subprocess.run(["logger", "--journald"], input=entry, text=True, check=True)


def wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise UnfitError(f"{otherwise} (waited {seconds:.0f} s)")
        time.sleep(0.1)
