"""What every lab goes through, whoever wants it."""

from lab import console, image, inventory, labs, machine, mail, paths, playbook, snapshot
from lab.labs import FIRST_MACHINE, Lab


def boot(lab: Lab, debian: str = "12") -> None:
    """Image, network, machine, mail server and inventory; what is there already stays as it is."""
    machine.refuse_another_debian(lab, debian, lab.machines[0])
    with image.lock():
        with console.step("Image of the machine", "image"):
            image.ensure(debian)
            console.ok(f"Debian {debian} is ready to boot")
        with console.step("Machine", "machine"):
            labs.create_networks(lab)
            for number, host in enumerate(lab.machines, FIRST_MACHINE):
                new = machine.ensure(lab, host, number=number, debian=debian)
                console.ok(f"{host}: Debian {debian} at {lab.address(number)} {'has booted' if new else 'is there'}")
        with console.step("Mail server", "mail server"):
            mail.ensure(lab, debian=debian)
            console.ok(f"maildev is there, its inbox at http://{lab.mail_address}:1080/")
    inventory.write(lab)


def deploy(lab: Lab) -> playbook.Progress:
    result = playbook.run(lab, "site.yml", lab.directory / "site.log", app_release_ref=snapshot.take(paths.ROOT))
    for name, counts in result.recap.items():
        if name != "localhost":
            console.ok(f"{name}: {counts['ok']} tasks, changed={counts['changed']}")
    return result
