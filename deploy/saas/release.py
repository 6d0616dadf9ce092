"""How a release takes another's place on this host. deploy.yml and rollback.yml do this, in this order."""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from saas import keep, links, running, settling, verify
from saas.findings import printable
from saas.host import output
from saas.keep import Record, wait
from saas.links import UnfitError

# How long what the last deploy left to finish may take before the next one gives up.
PATIENCE = 900
MEGA = 1_000_000
RETIRED = "Fetches nothing more"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(metavar="STEP", required=True)
    for step in (listing, hold, room, start, retire, switch, check, probe, finish, forsake, end, settle):
        command = steps.add_parser({"listing": "list"}.get(step.__name__, step.__name__), help=step.__doc__)
        command.set_defaults(step=step)
        if step in (hold, start, retire, switch, check, probe, finish, forsake, end):
            command.add_argument("release", help="its folder in /srv/saas/releases")
        if step is room:
            command.add_argument("--environment", action="store_true", help="for a virtual environment too")
        if step is hold:
            command.add_argument("--by", required=True, help="who wants it")
            command.add_argument("--kind", choices=("deploy", "rollback", "rotation"), default="deploy")
            command.add_argument("--present", help="refuse if this is not the one in service any more")


def run(arguments: argparse.Namespace) -> int:
    try:
        arguments.step(arguments)
    except UnfitError as error:
        complain(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        complain(f"{' '.join(error.cmd)}: {(error.stderr or '').strip()}")
        return 1
    return 0


def complain(text: str) -> None:
    """It may end with lines of a journal, in which the application has a say."""
    print("\n".join(map(printable, f"saas: {text}".split("\n"))), file=sys.stderr)


def listing(arguments: argparse.Namespace) -> None:
    """which releases there are, the latest first, as JSON"""
    named = {link: links.target(link) for link in ("current", "previous")}
    print(json.dumps({"finished": links.finished(), **named}))


def hold(arguments: argparse.Namespace) -> None:
    """keep other deploys away for as long as the caller's connection lasts; then settle"""
    keep.refuse_a_second_one(arguments.kind)
    if keep.read():
        settling.settle()
    wait(
        lambda: not running.building(), PATIENCE, "what the last deploy began to build or to migrate is still under way"
    )
    # Who goes back does not wait for tasks: web processes go first, and workers follow as they finish.
    if arguments.kind != "rollback":
        wait(drained, PATIENCE, "the workers of the last deploy have not finished their tasks")
    by = " ".join(arguments.by.split())
    keep.begin(arguments.kind, arguments.release, by)
    current = links.target("current")
    if arguments.present not in (None, current):
        keep.end()
        raise UnfitError(f"another deploy has brought {current} into service meanwhile: run it again")
    keep.write(
        Record(arguments.kind, by, current, arguments.release, links.target("previous"), time.time(), keep.connection())
    )


def drained() -> bool:
    known = running.show(*running.workers(), *map(running.beside, running.workers()))
    busy = [name for name, unit in known.items() if unit["ActiveState"] == "deactivating"]
    beside = [name for name in map(running.beside, running.workers()) if known[name]["ActiveState"] == "active"]
    return not busy and not beside


def room(arguments: argparse.Namespace) -> None:
    """see that the disk has twice the place that the present release takes"""
    present = links.named(links.target("current"))
    needed = 2 * links.size(present)
    needed += 2 * links.size((present / ".venv").resolve()) if arguments.environment else 0
    free = shutil.disk_usage(links.ROOT).free
    if free < needed:
        device, mounted = output("df", "--output=source,target", str(links.ROOT)).split()[-2:]
        raise UnfitError(
            f"the disk of {links.ROOT} is full: {free / MEGA:.1f} MB are free on {device} (mounted on {mounted}),"
            f" and a release takes {needed / MEGA:.1f} MB. Make room there."
        )


def start(arguments: argparse.Namespace) -> None:
    """run its web processes and workers beside the present ones, and see that they are well"""
    release, record = arguments.release, keep.held(arguments.release)
    links.lead("next", release)
    known = running.show(*running.workers())
    record.left_out = [running.beside(name) for name, unit in known.items() if unit["ActiveState"] == "deactivating"]
    keep.write(record)
    web, units = running.web(release), processes(record)
    if not units:
        return
    # How often one was started again counts from here.
    running.systemctl("reset-failed", [name for name, unit in running.show(*units).items() if unit["MainPID"] != "0"])
    try:
        running.systemctl("start", units)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise UnfitError(f"its processes do not start. {told(units)}") from error
    began = time.monotonic()
    proofs: list[Callable[[], None]] = [lambda: verify.steady(units, release)]
    proofs += [lambda: verify.by_socket(release)] if web else []
    prove(proofs)
    # One to go back to has been in service; who goes back is in a hurry, and `check` looks again.
    if record.kind != "rollback":
        time.sleep(max(0, verify.STEADY - (time.monotonic() - began)))
        prove(proofs)


def processes(record: Record) -> list[str]:
    """The units that are to run the new release before it is in service."""
    doubles = [running.beside(name) for name in running.workers()]
    return [*running.web(record.new), *(name for name in doubles if name not in record.left_out)]


def prove(proofs: Iterable[Callable[[], None]]) -> None:
    for proof in proofs:
        proof()


def told(units: Iterable[str]) -> str:
    bad = [name for name, unit in running.show(*units).items() if unit["ActiveState"] != "active"]
    return "\n".join(running.words(name) for name in bad)


def retire(arguments: argparse.Namespace) -> None:
    """tell the workers of other releases to fetch nothing more; they finish what they run"""
    record = keep.held(arguments.release)
    # One whose double is left out has only just finished, and it alone fetches: it follows when this is settled.
    known = running.show(*(name for name in running.workers() if running.beside(name) not in record.left_out))
    old = [name for name, unit in known.items() if unit["MainPID"] != "0"]
    old = [name for name in old if running.release_of(known[name]) != arguments.release]
    running.systemctl("stop", old, "--no-block")
    wait(lambda: all(map(retired, running.show(*old).values())), 20, "an old worker goes on to fetch tasks")


def retired(unit: dict[str, str]) -> bool:
    return unit["MainPID"] == "0" or unit["StatusText"].startswith(RETIRED)


def switch(arguments: argparse.Namespace) -> None:
    """let /srv/saas/current lead to it, which sends new requests there, and have Beat and Flower follow"""
    record = keep.held(arguments.release)
    running.systemctl("enable", running.web(record.new))
    # It is there already where a deploy was cut off half-way through the hosts.
    if record.old != record.new:
        links.lead("previous", record.old)
        links.lead("current", record.new)
    running.systemctl("reset-failed", running.single())
    running.systemctl("restart", running.single(), "--no-block")


def check(arguments: argparse.Namespace) -> None:
    """ask nginx and the units whether it is there"""
    record = keep.held(arguments.release)
    if running.web(record.new):
        verify.by_nginx(record.new)
    verify.lasting([*processes(record), *running.single()], record.new)


def probe(arguments: argparse.Namespace) -> None:
    """send a task through each queue of the site"""
    record = keep.held(arguments.release)
    # After a rollback that did not wait, workers may have yet to follow.
    verify.through_queues({record.new} if record.kind == "deploy" else {record.new, record.old})


def finish(arguments: argparse.Namespace) -> None:
    """stay with it when the hold ends; one that was deployed may be gone back to from then on"""
    keep.write(replace(keep.held(arguments.release), stays=True))


def forsake(arguments: argparse.Namespace) -> None:
    """go back when the hold ends, though it was finished here: another host could not"""
    keep.write(replace(keep.held(arguments.release), stays=False))


def end(arguments: argparse.Namespace) -> None:
    """let go, and settle; another deploy's hold is left alone"""
    record = keep.read()
    if keep.state() != "active":
        settling.settle()
    elif record is None or record.new == arguments.release:
        keep.end()
        if keep.read():
            raise UnfitError(f"this host is not settled; `saas release settle` tries again. {running.words(keep.HOLD)}")


def settle(arguments: argparse.Namespace) -> None:
    """end what does not belong to /srv/saas/current any more; done whenever a hold ends, however it ends"""
    if keep.state() == "active":
        keep.refuse_a_second_one("settling")
    settling.settle()
