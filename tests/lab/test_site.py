from lab import boot, console, playbook, proof
from lab.labs import Lab


def test_site_yml_deploys_a_bare_machine(first_run: playbook.Progress) -> None:
    assert first_run.recap["saas"]["changed"] > 0
    assert first_run.recap["saas"]["failed"] == 0


def test_a_second_run_changes_nothing(lab: Lab, first_run: playbook.Progress) -> None:
    with console.step("Deploying a second time", "second run"):
        second = boot.deploy(lab)

    assert second.changed == []
    assert {host: counts["changed"] for host, counts in second.recap.items()} == dict.fromkeys(second.recap, 0)


def test_a_stranger_can_register_and_gets_the_welcome_mail(lab: Lab, first_run: playbook.Progress) -> None:
    with console.step("Proving that it works", "proof"):
        proof.prove(lab)
