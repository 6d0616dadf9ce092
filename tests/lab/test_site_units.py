"""The units as systemd has them, on a machine that does its work."""

import pytest
import yaml

from lab import paths, proof
from lab.labs import Lab
from tests.lab.hosts import do, wait_until_shown

UNITS = sorted(
    path.name for path in (paths.ROOT / "deploy/systemd").iterdir() if path.is_file() and path.suffix != ".conf"
)
SERVICES = [unit for unit in UNITS if unit.endswith(".service")]
LASTING = [
    *("celery-beat.service", "celery-worker@.service", "flower.service", "gunicorn@.service"),
    *("nginx.service", "postgresql@.service", "redis-server.service"),
]
# Ten times what `systemd-analyze security` calls the exposure.
EXPOSURE = {**dict.fromkeys(SERVICES, 15), "nginx.service": 30, "postgresql@.service": 30}
RATED_COMMAND = """
saas manage shell --no-imports -c 'import time; time.sleep(60)' &
for second in $(seq 30); do
    sleep 1
    unit=$(systemctl list-units --plain --no-legend 'saas-manage-*' | cut -d ' ' -f 1)
    test -z "$unit" || break
done
systemd-analyze security --no-pager --threshold=15 "$unit"; code=$?; systemctl stop "$unit"; exit $code
"""
# In its unit's view of the file system, which not even root's other rights change.
AS_NGINX = "nsenter --mount --target $(systemctl show --property=MainPID --value nginx)"
FORBIDDEN = ["/etc", "/root", "/run/systemd/system", "/srv/saas", "/usr/sbin", "/var/lib", "/var/www/html"]
ALLOWED = ["/run", "/var/lib/nginx", "/var/log/nginx"]


@pytest.fixture(scope="module")
def working(lab: Lab, first_run: object) -> Lab:
    """A mail was delivered by the units as they run, their sandboxes among them."""
    proof.prove(lab)
    return lab


def instance(lab: Lab, unit: str) -> str:
    names = {
        "celery-worker@.service": "echo email",
        "postgresql@.service": "echo $(ls /etc/postgresql)-main",
        "saas-environment@.service": "basename $(readlink -f /srv/saas/current/.venv)",
    }
    name = do(lab, names.get(unit, "basename $(readlink /srv/saas/current)")).strip()
    return unit.replace("@.", f"@{name}.")


def test_systemd_finds_nothing_wrong_with_them(working: Lab) -> None:
    debians = ["nginx.service", "postgresql@.service", "redis-server.service", "nftables.service", "logrotate.timer"]
    units = " ".join(instance(working, unit) for unit in [*UNITS, *debians])

    assert do(working, f"systemd-analyze verify --man=no {units}") == ""


@pytest.mark.parametrize(("unit", "most"), EXPOSURE.items())
def test_they_are_sandboxed(working: Lab, unit: str, most: int) -> None:
    do(working, f"systemd-analyze security --no-pager --threshold={most} {instance(working, unit)}")


def test_so_is_what_root_has_run_by_saas_manage(working: Lab) -> None:
    do(working, RATED_COMMAND)


def test_nginxs_master_writes_where_it_must_and_nowhere_else(working: Lab) -> None:
    folders = " ".join(FORBIDDEN + ALLOWED)
    tried = f"for folder in {folders}; do {AS_NGINX} touch $folder/by-nginx 2>&1 && echo $folder; done || true"
    try:
        said = do(working, f"ls -d {folders} >/dev/null; {tried}").splitlines()
    finally:
        do(working, f"for folder in {folders}; do rm -f $folder/by-nginx; done")

    assert [line for line in said if line.startswith("/")] == ALLOWED
    assert sum(line.endswith(("Read-only file system", "Permission denied")) for line in said) == len(FORBIDDEN)


@pytest.mark.parametrize("unit", [*SERVICES, "saas.slice"])
def test_none_takes_the_whole_machine(working: Lab, unit: str) -> None:
    total = int(do(working, "awk '/^MemTotal/ {print $2}' /proc/meminfo")) * 1024

    limit = int(do(working, f"systemctl show --property=MemoryMax --value {instance(working, unit)}"))

    assert limit <= total * 3 // 4


@pytest.mark.parametrize("unit", SERVICES)
def test_none_takes_every_process_there_may_be(working: Lab, unit: str) -> None:
    assert int(do(working, f"systemctl show --property=TasksMax --value {instance(working, unit)}")) <= 512


def test_what_a_dependency_does_as_it_is_installed_it_does_without_root(working: Lab) -> None:
    """Python runs what wheels bring along whenever it starts among them; pip starts it there."""
    user = do(working, "systemctl show --property=User --value saas-environment@any")

    assert user == "saas\n"
    assert do(working, "find /srv/saas/venvs ! -user root -o -perm /022 ! -type l") == ""


@pytest.mark.parametrize("user", ["nobody", "www-data", "saas"])
def test_no_file_tells_a_secret_to_anybody_but_root(working: Lab, user: str) -> None:
    """Not even the service's own user: systemd reads its settings before it takes root's rights away."""
    values = yaml.safe_load(working.secrets.read_text(encoding="utf-8")).values()
    search = f"grep --recursive --files-with-matches --no-messages --fixed-strings -e {' -e '.join(values)}"

    assert do(working, f"{search} /etc/saas").split()
    # It fails where it finds nothing.
    assert do(working, f"runuser -u {user} -- {search} /etc /opt /root /run /srv /tmp /usr/local /var || true") == ""


def test_they_have_what_the_inventory_adds_to_the_settings(working: Lab) -> None:
    process = do(working, "systemctl show --property=MainPID --value celery-worker@email").strip()

    assert "DRAIN_SECONDS=299" in do(working, f"tr '\\0' '\\n' </proc/{process}/environ").splitlines()


@pytest.mark.parametrize("unit", LASTING)
def test_they_get_up_again(working: Lab, unit: str) -> None:
    named = instance(working, unit)
    before = int(do(working, f"systemctl show --property=NRestarts --value {named}"))
    do(working, f"systemctl kill --kill-whom main --signal KILL {named}")

    up = f"NRestarts={before + 1}\nSubState=running"
    wait_until_shown(working, f"systemctl show --property=SubState,NRestarts {named}", up)

    assert proof.wait_for(lambda: proof.visit(working).browser.get("/health/").ok, 60)
