"""The lab of a person: `make up`, `make down`, `make status`, `make ssh`."""

import os
import shutil

from lab import console, host, image, inventory, labs, machine, mail, paths, playbook, snapshot
from lab.labs import FIRST_MACHINE, Lab
from lab.podman import podman, remove, succeeds
from lab.shell import LabError

LAB = Lab("up", "up")


def up() -> None:
    with console.step("Packages of this machine", "packages"):
        host.ensure(*host.LAB)
    boot(LAB)
    with console.step("Deploying with ansible-playbook site.yml", "site.yml"):
        deploy(LAB)
    summary()


def boot(lab: Lab, debian: str = "12") -> None:
    with console.step("Image of the machine", "image"):
        image.ensure(debian)
    with console.step("Machine", "machine"):
        labs.create_network(lab)
        new = machine.ensure(lab, debian=debian)
        console.ok(f"{lab.address(FIRST_MACHINE)} {'has booted' if new else 'was running'}")
    with console.step("Mail server", "mail server"):
        mail.ensure(lab, debian=debian)
        console.ok(f"http://{lab.mail_address}:1080/")
    inventory.write(lab)


def deploy(lab: Lab) -> playbook.Progress:
    result = playbook.run(lab, "site.yml", snapshot.take(paths.ROOT), lab.directory / "site.log")
    for name, counts in result.recap.items():
        console.ok(f"{name}: {counts['ok']} tasks, {counts['changed']} changed")
    return result


def summary() -> None:
    console.say()
    for name, seconds in console.timings:
        console.say(f"{name:12} {console.duration(seconds):>10}")


def down() -> None:
    remove(*(c for c in (LAB.container("saas"), LAB.container("mail")) if succeeds("container", "exists", c)))
    if succeeds("network", "exists", LAB.network):
        podman("network", "rm", LAB.network)
    inventory.remove(LAB)
    shutil.rmtree(LAB.directory, ignore_errors=True)
    image.forget("12")
    console.ok("The lab is gone; the built image stays in .lab/images for the next time.")


def status() -> None:
    print(podman("ps", "--all", "--filter", f"name={LAB.network}"), end="")


def ssh(command: str) -> None:
    if not LAB.known_hosts.exists():
        raise LabError("There is no lab: make up starts one.")
    argv = machine.ssh(LAB, LAB.address(FIRST_MACHINE), *([command] if command else []))
    os.execvp(argv[0], argv)
