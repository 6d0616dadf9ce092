"""`vagrant up` for real, on a computer that a container plays. make test-vagrant runs it, and make test does not.

Vagrant, libvirt, their networks and rules are the container's, and gone with it. Without KVM the machine is emulated.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import console, image, labs, machine, mail, owner, paths, sweep
from lab.labs import Lab
from lab.shell import run
from tests.lab.hosts import do, shell

SITE, INBOX = "https://192.168.56.10/", "192.168.56.10"
PACKAGES = (
    "vagrant vagrant-libvirt libvirt-daemon-system qemu-system-x86 qemu-utils dnsmasq-base iptables git curl "
    "mmdebstrap grub-pc-bin grub-common e2fsprogs fdisk"
)
# What emulation takes is no failure.
HOURS = 3600.0 * 5
# The certificates are this computer's, which may know a network's own authority.
ENVIRONMENT = "export LC_ALL=C.UTF-8 SAAS_BOX=debian12 PIP_CERT=/etc/ssl/certs/ca-certificates.crt; cd /srv/site; "
# Emulated on a busy computer, a machine was seen to need 40 s for a connection, and 80 s to say what time it is.
PATIENCE = "--timeout=600 -e preflight_connection_timeout=600 -e preflight_clock_skew=600"


def shared(desk: Lab) -> Path:
    return desk.directory / "shared"


def volumes(folder: Path) -> tuple[str, ...]:
    """The working tree, and what make setup has put beside it, down to a Python that is no package."""
    made = [paths.ROOT / ".venv", mail.installed(), Path("/etc/ssl/certs")]
    python = Path(sys.base_prefix)
    seen = [*made, *([] if python == Path("/usr") else [python])]
    return f"{folder}:/srv/shared", *(f"{path}:{path}:ro" for path in seen)


def copy_tree(clone: Path) -> None:
    """The working tree as it is, in a repository of its own."""
    run(["git", "clone", "--quiet", str(paths.ROOT), str(clone)])
    listed = run(["git", "-C", str(paths.ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"])
    for name in filter(None, listed.split("\0")):
        source, target = paths.ROOT / name, clone / name
        target.unlink(missing_ok=True)
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    (clone / ".venv").symlink_to(paths.ROOT / ".venv")
    (clone / ".lab" / "mail").mkdir(parents=True)
    (clone / ".lab" / "mail" / mail.installed().name).symlink_to(mail.installed())


@pytest.fixture(scope="module")
def desk() -> Iterator[Lab]:
    """A developer's computer with the working tree in /srv/site."""
    with timed("Leftovers of interrupted runs"):
        sweep.leftovers()
    stamp = owner.stamp()
    folder = shared(Lab(f"test-{stamp}", "test"))
    mine = Lab(f"test-{stamp}", "test", stamp, volumes=volumes(folder))
    try:
        with timed("A computer"), image.lock():
            mail.install()
            image.ensure("12")
            labs.create_networks(mine)
            copy_tree(folder / "site")
            machine.ensure(mine)
        install(mine)
        yield mine
    finally:
        sweep.remove_lab(mine)
        image.forget()


def install(desk: Lab) -> None:
    # Root's, as git wants what root works in.
    do(desk, "cp --archive --no-preserve=ownership /srv/shared/site /srv/site")
    with timed("Vagrant and libvirt on it"):
        apt = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes"
        wait(desk, f"{apt} update && {apt} install --no-install-recommends {PACKAGES}")
        wait(desk, "until virsh --connect qemu:///system list; do sleep 1; done")
    with timed("A box of Debian 12"):
        wait(desk, "tests/vagrant/make-box /tmp/debian12.box && vagrant box add --name debian12 /tmp/debian12.box")


def wait(desk: Lab, command: str) -> str:
    """Run it in the clone, with all that it says in output.log of the shared folder, so that one can look on."""
    log = shared(desk) / "output.log"
    ended = shell(
        desk,
        f"export SAAS_ANSIBLE={shlex.quote(PATIENCE)}; {ENVIRONMENT} {{ {command}\n}} >/srv/shared/output.log 2>&1",
        seconds=HOURS,
    )
    text = log.read_text(encoding="utf-8", errors="replace")
    assert ended.code == 0, f"{command}\n{text[-6000:]}"
    return text


@contextmanager
def timed(title: str) -> Iterator[None]:
    with console.step(title, title):
        yield
    console.ok(console.duration(console.timings[-1][1]))


def visit(desk: Lab, site: str, inbox: str) -> str:
    return wait(desk, f"PYTHONPATH=deploy .venv/bin/python tests/vagrant/visitor.py {site} {inbox}").strip()


def release(desk: Lab) -> str:
    said = wait(desk, "vagrant ssh --command 'readlink /srv/saas/current'")
    found = re.search(r"/srv/saas/releases/(\w+)", said)
    assert found, said
    return found[1]


@pytest.fixture(scope="module")
def up(desk: Lab) -> str:
    with timed("vagrant up"):
        return wait(desk, "vagrant up --provider libvirt")


def test_it_says_where_the_site_and_the_inbox_are(up: str) -> None:
    assert SITE in up
    assert f"http://{INBOX}:1080/" in up


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize(("site", "inbox"), [(SITE, INBOX), ("https://localhost:8443/", "localhost")])
def test_an_account_is_welcomed_by_a_mail_on_the_address_and_the_forwarded_port(
    desk: Lab, site: str, inbox: str
) -> None:
    with timed(f"Registering at {site}"):
        assert visit(desk, site, inbox) == "Welcome to Django SaaS"


@pytest.mark.usefixtures("up")
def test_provision_deploys_what_is_in_no_commit(desk: Lab) -> None:
    first = release(desk)
    do(desk, "sed --in-place 's:</body>:<p>Not committed.</p></body>:' /srv/site/app/core/templates/base.html")

    with timed("vagrant provision with a changed template"):
        wait(desk, "vagrant provision")

    assert release(desk) != first
    assert "<p>Not committed.</p>" in do(desk, f"curl --silent --insecure {SITE}accounts/login/")
    assert wait(desk, "git status --short app") == " M app/core/templates/base.html\n"


@pytest.mark.usefixtures("up")
def test_destroy_leaves_nothing(desk: Lab) -> None:
    with timed("vagrant destroy"):
        wait(desk, "vagrant destroy --force")

    assert "saas" not in wait(desk, "virsh --connect qemu:///system list --all --name")
    assert "192.168.56" not in do(desk, "ip -brief address")
