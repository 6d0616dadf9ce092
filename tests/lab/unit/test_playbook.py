import pytest

from lab import console, playbook

OUTPUT = """\
PLAY [Prepare every machine] ***************************************************

TASK [base : Refresh the package lists] ****************************************
ok: [saas]

TASK [redis : Install Redis: the server] ***************************************
changed: [saas]

RUNNING HANDLER [redis : Restart redis] ****************************************
changed: [saas]

TASK [nginx : Check the configuration] *****************************************
[ERROR]: Task failed: Module failed: nginx is unwell
Origin: /tasks/main.yml:2:3

fatal: [saas]: FAILED! =>
    msg: nginx is unwell

PLAY RECAP *********************************************************************
localhost                  : ok=1    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
saas                       : ok=3    changed=2    unreachable=0    failed=1    skipped=4    rescued=0    ignored=0
"""


def read(output: str) -> playbook.Progress:
    progress = playbook.Progress(console.Live())
    for line in output.splitlines():
        progress.read(line)
    return progress


def test_it_reads_the_recap() -> None:
    recap = read(OUTPUT).recap

    assert (recap["saas"]["ok"], recap["saas"]["changed"], recap["saas"]["failed"]) == (3, 2, 1)
    assert recap["localhost"]["changed"] == 0


def test_it_names_what_changed() -> None:
    assert read(OUTPUT).changed == ["redis: Install Redis: the server", "redis: Restart redis"]


def test_it_shows_each_role_once(capsys: pytest.CaptureFixture[str]) -> None:
    read(OUTPUT)

    assert capsys.readouterr().out.split() == ["base", "redis", "nginx"]


def test_a_failure_begins_at_its_task() -> None:
    lines = playbook.failure(OUTPUT).splitlines()

    assert lines[0].startswith("    TASK [nginx : Check the configuration]")
    assert lines[-1] == "        msg: nginx is unwell"


def test_without_a_failed_task_the_last_words_count() -> None:
    assert playbook.failure("one\ntwo\n") == "    one\n    two"
