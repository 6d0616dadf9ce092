"""The same playbook on seven machines, each with its own part, and a stranger who may reach next to nothing."""

import json
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import boot, console, inventory, labs, machine, mail, playbook, proof
from lab.browser import Browser
from lab.labs import Lab
from lab.podman import podman
from tests.lab.hosts import do, shell, started, wait_until_shown

NAME = "app.saas.test"
WEB = ("web1", "web2")
APPLICATION = (*WEB, "worker1", "worker2", "control")
# Of those that serve: who may reach them, besides from the machine itself.
REACHABLE: dict[str, dict[int, tuple[str, ...]]] = {
    "db1": {5432: APPLICATION},
    "redis1": {6379: APPLICATION},
    "control": {5555: WEB},
    "web1": {80: labs.CLUSTER, 443: labs.CLUSTER},
    "web2": {80: labs.CLUSTER, 443: labs.CLUSTER},
}
SCAN = Path(__file__).with_name("scan.py").read_text(encoding="utf-8")
STRANGER, NEW = "stranger", "worker3"
# What Celery, Beat, Flower and Django say while Redis or PostgreSQL reboots.
AWAY = re.compile(
    r"Cannot connect to redis|beat: Connection error|flower\.events - Failed to capture events"
    r"|Service Unavailable: /health/|(redis|kombu)\.exceptions\.|django\.db\.utils\.\w*Error"
)

# Routes leave with the address.
LATE_ADDRESS = """
read device place _ broadcast <<<$(ip -oneline address show to {} | awk '{{print $2, $4, $5, $6}}')
ip -4 route show >/run/routes
ip address delete $place dev $device
systemctl restart 'postgresql@*'
ip address add $place broadcast $broadcast dev $device
while read route; do ip route replace $route; done </run/routes
"""


@pytest.fixture(scope="module")
def deployed(cluster: Lab) -> playbook.Progress:
    with console.step("Deploying seven machines", "cluster"):
        return boot.deploy(cluster)


@pytest.fixture
def names(cluster: Lab, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Which machine the site's name leads to: none until the test says so."""
    leads: dict[str, str] = {}
    ask = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: ask(leads.get(host, host), *rest, **more))
    return leads


def visit(cluster: Lab, names: dict[str, str], host: str = "web1") -> proof.Visit:
    """From now on the site's name leads to that host, which has a certificate of its own."""
    names[NAME] = cluster.address_of(host)
    certificate = cluster.directory / f"{host}.crt"
    text = machine.execute(cluster, host, "cat", "/etc/nginx/tls/current/fullchain.pem")
    certificate.write_text(text, encoding="utf-8")
    return proof.Visit(cluster, names[NAME], Browser(f"https://{NAME}/", certificate))


def journal(cluster: Lab, hosts: tuple[str, ...], request: str) -> str:
    command = f"journalctl --no-pager --output cat REQUEST_ID={request}"
    return "".join(machine.execute(cluster, host, "sh", "-c", command) for host in hosts)


def listeners(cluster: Lab, host: str, protocol: str = "tcp") -> set[tuple[str, int]]:
    rows = machine.execute(cluster, host, "ss", "--listening", f"--{protocol}", "--numeric", "--no-header").splitlines()
    found = (row.split()[3].rpartition(":") for row in rows)
    return {(address.strip("[]"), int(port)) for address, _, port in found}


def reached(
    cluster: Lab, source: str, targets: dict[str, str], ports: set[int], protocol: str = "tcp"
) -> set[tuple[str, int]]:
    """Host and port, of what answers to `source`."""
    arguments = [",".join(targets.values()), ",".join(str(port) for port in sorted(ports)), protocol]
    answers = json.loads(machine.execute(cluster, source, "python3", "-c", SCAN, *arguments))
    hosts = {address: host for host, address in targets.items()}
    return {(hosts[address], port) for address, port in answers}


def test_every_machine_is_deployed(deployed: playbook.Progress) -> None:
    assert {host for host in labs.CLUSTER if deployed.recap[host]["changed"]} == set(labs.CLUSTER)
    assert not any(counts["failed"] or counts["unreachable"] for counts in deployed.recap.values())


def test_a_visitor_of_either_web_host_is_served_by_all(
    cluster: Lab, deployed: playbook.Progress, names: dict[str, str]
) -> None:
    guest = visit(cluster, names)
    proof.it_is_healthy(guest)
    proof.static_files_are_served(guest)
    proof.an_account_is_registered(guest)
    proof.the_welcome_mail_arrives(guest)
    story = journal(cluster, ("web1", "worker1", "worker2"), guest.request)

    assert proof.untold(story) == []

    guest.browser = visit(cluster, names, "web2").browser
    proof.signing_in_shows_home(guest)
    session = guest.browser.session.cookies
    guest.browser = visit(cluster, names, "web1").browser
    guest.browser.session.cookies.update(session)

    assert guest.username in guest.browser.get("/").text


def test_flower_is_there_on_either_web_host_and_knows_every_worker(
    cluster: Lab, deployed: playbook.Progress, names: dict[str, str]
) -> None:
    password = yaml.safe_load(cluster.secrets.read_text(encoding="utf-8"))["secret_flower_password"]
    for host in WEB:
        answer = visit(cluster, names, host).browser.get("/flower/api/workers?refresh=true", auth=("flower", password))

        assert sorted(json.loads(answer.text)) == sorted(
            f"{queue}@{worker}" for queue in ("celery", "email") for worker in ("worker1", "worker2")
        )


def test_the_database_s_clients_insist_on_tls_and_on_the_server_that_knows_them(
    cluster: Lab, deployed: playbook.Progress
) -> None:
    script = "from django.db import connection as c; c.ensure_connection(); print(c.connection.info.get_parameters())"
    for host in ("worker1", "control"):
        told = do(cluster, shlex.join(["saas", "manage", "shell", "--no-imports", "--command", script]), host=host)

        assert "'sslmode': 'require'" in told
        assert "'channel_binding': 'require'" in told


@pytest.mark.parametrize(
    ("program", "hosts"),
    [
        ("/usr/lib/postgresql/*/bin/postgres", {"db1"}),
        ("/usr/bin/redis-server", {"redis1"}),
        ("/usr/sbin/nginx", set(WEB)),
        ("/srv/saas/current", set(APPLICATION)),
        ("/etc/systemd/system/celery-beat.service", {"control"}),
        ("/etc/systemd/system/flower.service", {"control"}),
        ("/etc/systemd/system/celery-worker@.service", {"worker1", "worker2"}),
        ("/etc/saas/migrate.env", {"control"}),
    ],
)
def test_only_who_needs_it_has_it(cluster: Lab, deployed: playbook.Progress, program: str, hosts: set[str]) -> None:
    has = {host for host in labs.CLUSTER if machine.execute(cluster, host, "sh", "-c", f"ls -d {program} || true")}

    assert has == hosts


def test_nothing_but_ssh_and_nginx_listens_on_every_address(cluster: Lab, deployed: playbook.Progress) -> None:
    for host in labs.CLUSTER:
        private = cluster.private_address_of(host)
        public = {80, 443} if host in WEB else set()

        others = {entry for entry in listeners(cluster, host) if entry[1] not in {22} | public}

        assert {address for address, _ in others} <= {"127.0.0.1", "::1", private}
        # Nothing of ours takes datagrams.
        assert {address for address, _ in listeners(cluster, host, "udp")} <= {"127.0.0.1", "::1"}


def test_the_firewall_lets_in_what_a_host_is_there_for(cluster: Lab, deployed: playbook.Progress, debian: str) -> None:
    machine.ensure(cluster, STRANGER, number=30, debian=debian)
    ports = {port for host in labs.CLUSTER for _, port in listeners(cluster, host)} | set(range(1, 1025))
    private = {host: cluster.private_address_of(host) for host in labs.CLUSTER}
    public = {host: cluster.address_of(host) for host in labs.CLUSTER}
    open_to_all = {(host, 22) for host in labs.CLUSTER} | {(host, port) for host in WEB for port in (80, 443)}

    with console.step("A stranger scans the ports", "scan"):
        assert reached(cluster, STRANGER, public, ports) == open_to_all
        assert reached(cluster, STRANGER, private, ports) == open_to_all
        # Of a closed port, too, a firewall that lets datagrams pass has the kernel answer.
        for addresses in (public, private):
            assert reached(cluster, STRANGER, addresses, set(range(1, 513)), "udp") == set()

    served = {port for host in labs.CLUSTER for _, port in listeners(cluster, host)}
    for source in labs.CLUSTER:
        others = {host: address for host, address in private.items() if host != source}
        allowed = {
            (host, port) for host, rules in REACHABLE.items() for port, clients in rules.items() if source in clients
        }
        expected = {(host, port) for host, port in allowed | {(host, 22) for host in others} if host != source}
        assert reached(cluster, source, others, served) == expected


@pytest.mark.parametrize(("mode", "said"), [("disable", "no encryption"), ("require", "no password supplied")])
def test_the_database_refuses_what_is_not_tls(cluster: Lab, deployed: playbook.Progress, mode: str, said: str) -> None:
    """Before it asks for a password."""
    to = f"host={cluster.private_address_of('db1')} dbname=saas user=saas_worker sslmode={mode}"
    ended = shell(
        cluster, f"/srv/saas/current/.venv/bin/python -c 'import psycopg; psycopg.connect(\"{to}\")'", "worker1"
    )

    assert ended.code == 1
    assert said in ended.text


def test_a_second_run_changes_nothing(cluster: Lab, deployed: playbook.Progress) -> None:
    with console.step("Deploying seven machines a second time", "cluster again"):
        second = boot.deploy(cluster)

    assert second.changed == []


def test_a_new_worker_joins_without_touching_the_others(cluster: Lab, deployed: playbook.Progress, debian: str) -> None:
    grown = Lab(cluster.name, cluster.kind, cluster.owner, (*cluster.machines, NEW))
    machine.ensure(grown, NEW, number=labs.FIRST_MACHINE + len(cluster.machines), debian=debian)
    add(grown, NEW)
    release, before = machine.execute(cluster, "worker1", "readlink", "/srv/saas/current"), started(cluster)

    with console.step("Adding a worker", "new worker"):
        result = playbook.run(grown, "site.yml", grown.directory / "worker3.log", f"--limit={NEW}")

    assert set(result.recap) - {"localhost"} == {NEW}
    # What is new elsewhere is that two firewalls let it in.
    assert started(cluster) == before
    assert machine.execute(grown, NEW, "readlink", "/srv/saas/current") == release
    wait_until_shown(grown, "saas status", "All is fine", host=NEW)


def add(grown: Lab, host: str) -> None:
    inventory.write(grown)
    hosts = grown.inventory / "hosts.yml"
    known: dict[str, Any] = yaml.safe_load(hosts.read_text(encoding="utf-8"))
    known["all"]["children"]["worker"]["hosts"][host] = None
    hosts.write_text(yaml.safe_dump(known), encoding="utf-8")


def errors(cluster: Lab, host: str) -> list[str]:
    """Whole, each with its traceback."""
    lines = do(cluster, "journalctl -p err --no-pager --output json --all _SYSTEMD_SLICE=saas.slice", host).splitlines()
    return [str(json.loads(line)["MESSAGE"]) for line in lines]


def test_nothing_of_this_was_an_error(cluster: Lab, deployed: playbook.Progress) -> None:
    assert {host: found for host in labs.CLUSTER if (found := errors(cluster, host))} == {}


@pytest.mark.parametrize("host", ["db1", "redis1", "web1", "worker1", "control"])
def test_after_a_reboot_everything_is_back_by_itself(
    cluster: Lab, deployed: playbook.Progress, names: dict[str, str], host: str
) -> None:
    podman("restart", "--time", "60", cluster.container(host), timeout=180)

    for other in labs.CLUSTER:
        wait_until_shown(cluster, "systemctl is-system-running", "running", host=other)
    guest = visit(cluster, names)
    assert proof.wait_for(lambda: guest.browser.get("/health/").ok, 60)
    proof.an_account_is_registered(guest)
    assert proof.wait_for(lambda: mail.inbox(cluster.mail_address, guest.email), proof.MAIL_SECONDS)


def test_the_database_is_reached_at_an_address_that_came_later_than_it(
    cluster: Lab, deployed: playbook.Progress, names: dict[str, str]
) -> None:
    do(cluster, LATE_ADDRESS.format(cluster.address_of("db1")), "db1")

    guest = visit(cluster, names)
    assert proof.wait_for(lambda: guest.browser.get("/health/").ok, 60)


def test_beat_and_flower_are_among_it(cluster: Lab, deployed: playbook.Progress) -> None:
    """No visitor would miss them."""
    assert do(cluster, "systemctl is-active celery-beat flower", "control").split() == ["active", "active"]


def test_nor_was_that_but_for_the_absence_of_broker_and_database(cluster: Lab, deployed: playbook.Progress) -> None:
    """What a reboot of theirs costs is to be seen, and names the one that was away."""
    others = {host: [text for text in errors(cluster, host) if not AWAY.search(text)] for host in labs.CLUSTER}

    assert {host: found for host, found in others.items() if found} == {}
