"""The lab of a person: `make up`, `make down`, `make status`, `make ssh`."""

import os
from pathlib import Path

from lab import boot, console, host, image, machine, paths, proof, scratch, snapshot, sweep
from lab.labs import FIRST_MACHINE, Lab
from lab.shell import LabError, require_root

LAB = Lab("up", "up")
BUSY = "Another make up or make down is at work in this clone: wait for it, or stop it."
JOURNALS = (
    "journalctl -u 'celery-worker@*' -n 20",
    "journalctl -u 'gunicorn@*' -u nginx -n 20",
    "journalctl -p err -b",
)


def up(debian: str) -> None:
    with scratch.lock("up", BUSY):
        scratch.sweep()
        with console.step("Packages of this computer", "packages"):
            host.ensure(*host.LAB)
        boot.boot(LAB, debian)
        with console.step("Deploying with ansible-playbook site.yml", "site.yml"):
            boot.deploy(LAB)
        with console.step("Proving that it works", "proof"):
            try:
                proof.prove(LAB)
            except LabError as error:
                raise LabError(f"{error}\nThe machine stays up for a look at it:\n{journals()}") from error
        summary()


def packages() -> None:
    with console.step("Packages of this computer", "packages"):
        host.ensure(*host.LAB, *host.TESTS)


def summary() -> None:
    console.say(f"\n{console.BOLD}The lab is up.{console.PLAIN}", indent=0)
    addresses()
    row("Logs", journals().strip())
    row("Shell", "make ssh")
    row("Remove it", "make down")
    took = " · ".join(f"{name} {console.duration(seconds)}" for name, seconds in console.timings)
    total = console.duration(sum(seconds for _, seconds in console.timings))
    row("It took", f"{total}: {took}")


def tell_if_outdated() -> None:
    running = Path(machine.execute(LAB, "saas", "readlink", "/srv/saas/current").strip()).name
    wanted = snapshot.take(paths.ROOT)
    if not wanted.startswith(running):
        row("Release", f"{running}, not your tree's {wanted[:12]}: to deploy that, make down, then make up")


def addresses() -> None:
    site = f"https://{LAB.address(FIRST_MACHINE)}/"
    secrets = LAB.secrets.relative_to(paths.ROOT)
    row("Site", f"{site}  (its certificate is its own, so the browser asks once)")
    row("Flower", f"{site}flower/  (user flower, password: secret_flower_password in {secrets})")
    row("Mails", f"http://{LAB.mail_address}:1080/")


def journals() -> str:
    return "\n".join(f'{"":12} make ssh CMD="{command}"' for command in JOURNALS)


def row(title: str, text: str) -> None:
    console.say(f"{title:<10} {text}", indent=2)


def down() -> None:
    host.require_debian()
    if host.missing(("podman",)):
        raise LabError("There is no lab: podman is not installed.")
    require_root()
    with scratch.lock("up", BUSY), console.step("Removing the lab", "down"):
        sweep.remove_lab(LAB)
        scratch.sweep()
        image.forget()
        console.ok("It is gone; the built image stays in .lab/images for the next time.")


def status() -> None:
    states = {name: state for name, state in sweep.states() if name.startswith(f"{LAB.network}-")}
    if not states:
        console.say("There is no lab; make up starts one.", indent=0)
        return
    for name, state in states.items():
        row(name.removeprefix(f"{LAB.network}-"), state)
    if all(state.startswith("Up") for state in states.values()):
        addresses()
    else:
        row("", "make up starts it again")


def ssh(command: str) -> None:
    if not LAB.known_hosts.exists():
        raise LabError("There is no lab; make up starts one.")
    argv = machine.ssh(LAB, LAB.address(FIRST_MACHINE), *([command] if command else []))
    os.execvp(argv[0], argv)  # noqa: S606 - ssh takes over the terminal
