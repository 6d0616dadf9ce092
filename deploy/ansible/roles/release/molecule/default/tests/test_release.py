import json

from testinfra.host import Host

HOLD = "saas release hold 0123456789ab --by molecule"


def test_what_runs_may_be_gone_back_to_and_is_what_its_link_says(host: Host) -> None:
    with host.sudo():
        known = json.loads(host.check_output("saas release list"))

        assert known["current"] in known["finished"]
        assert host.service(f"gunicorn@{known['current']}").is_running


def test_a_second_deploy_is_refused_and_told_of_the_first(host: Host) -> None:
    with host.sudo():
        # In one connection: the hold ends with it, and another command may come by another.
        second = host.run(f"{HOLD}-one && {HOLD}-two")
        host.check_output("systemctl stop saas-deploy.service")

    assert second.rc == 1
    assert "deploy of 0123456789ab by molecule-one is under way since" in second.stderr
