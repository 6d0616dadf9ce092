from lab import boot, console, machine, playbook, proof
from lab.labs import Lab

UNITS = "/etc/systemd/system"


def test_site_yml_deploys_a_bare_machine(first_run: playbook.Progress) -> None:
    assert first_run.recap["saas"]["changed"] > 0
    assert first_run.recap["saas"]["failed"] == 0


def test_a_second_run_changes_nothing(lab: Lab, first_run: playbook.Progress) -> None:
    with console.step("Deploying a second time", "second run"):
        second = boot.deploy(lab)

    assert second.changed == []
    assert {host: counts["changed"] for host, counts in second.recap.items()} == dict.fromkeys(second.recap, 0)


def test_check_mode_foresees_nothing_then(lab: Lab, first_run: playbook.Progress) -> None:
    with console.step("Deploying in check mode", "check mode"):
        foreseen = playbook.run(lab, "site.yml", lab.directory / "check.log", "--check", "--diff")

    assert foreseen.changed == []


def test_it_foresees_what_a_changed_value_would_change(lab: Lab, first_run: playbook.Progress) -> None:
    file = "/etc/systemd/journald.conf.d/saas.conf"
    before = machine.execute(lab, "saas", "cat", file)
    with console.step("Foreseeing a smaller journal", "check mode"):
        log = lab.directory / "foreseen.log"
        foreseen = playbook.run(
            lab, "site.yml", log, "--check", "--diff", "--tags=logging", "-e", "logging_journal_max_use=900M"
        )

    assert foreseen.changed != []
    assert "SystemMaxUse=900M" in log.read_text(encoding="utf-8")
    assert machine.execute(lab, "saas", "cat", file) == before


def test_it_foresees_units_that_are_not_there_yet(lab: Lab, first_run: playbook.Progress) -> None:
    """As before an upgrade that brings them."""
    units = "flower.service saas-settle.service"
    machine.execute(lab, "saas", "sh", "-c", f"cd {UNITS} && mv {units} /root && systemctl daemon-reload")
    try:
        with console.step("Foreseeing two units", "check mode"):
            foreseen = playbook.run(lab, "site.yml", lab.directory / "units.log", "--check", "--tags=app,flower")
    finally:
        machine.execute(lab, "saas", "sh", "-c", f"cd /root && mv {units} {UNITS} && systemctl daemon-reload")

    assert foreseen.changed != []
    assert boot.deploy(lab).changed == []


def test_a_stranger_can_register_and_gets_the_welcome_mail(lab: Lab, first_run: playbook.Progress) -> None:
    with console.step("Proving that it works", "proof"):
        proof.prove(lab)


def test_nothing_of_this_was_an_error(lab: Lab, first_run: playbook.Progress) -> None:
    """`journalctl -p err` shows the errors and nothing else, so it is empty where there are none."""
    assert errors(lab) == ""


def test_nor_is_it_one_to_start_again(lab: Lab, first_run: playbook.Progress) -> None:
    machine.execute(lab, "saas", "systemctl", "restart", "saas.target")

    assert errors(lab) == ""


def errors(lab: Lab) -> str:
    return machine.execute(
        lab, "saas", "sh", "-c", "journalctl -p err --no-pager --output cat _SYSTEMD_SLICE=saas.slice"
    )


def test_a_run_that_was_interrupted_is_made_whole_by_the_next(lab: Lab, first_run: playbook.Progress) -> None:
    """As if it had ended after the configuration was written and before anything had read it."""
    line = "include /etc/redis/saas.conf"
    forget = f"sed -i '\\|{line}|d' /etc/redis/redis.conf; systemctl restart redis-server"
    machine.execute(lab, "saas", "sh", "-c", f"{forget}; echo '{line}' >>/etc/redis/redis.conf")
    assert machine.execute(lab, "saas", "redis-cli", "ping").strip() == "PONG"
    machine.execute(lab, "saas", "touch", "/etc/systemd/journald.conf.d/saas.conf", "/etc/nginx/snippets/saas-log.conf")
    master = machine.execute(lab, "saas", "cat", "/run/nginx.pid")

    with console.step("Deploying after an interruption", "after an interruption"):
        again = boot.deploy(lab)

    anew = "Start the unit, anew if it is older than its files"
    assert again.changed == [f"logging: {anew}", f"redis: {anew}", "nginx: Reload the unit"]
    # Reloaded, not restarted.
    assert machine.execute(lab, "saas", "cat", "/run/nginx.pid") == master
    assert "NOAUTH" in machine.execute(lab, "saas", "redis-cli", "ping")
