import os
import subprocess
import sys

from lab import owner


def test_it_is_alive_itself() -> None:
    assert owner.alive(owner.stamp())


def test_a_process_that_ended_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stamp = f"{child.pid}-{owner.started(child.pid)}"
    assert owner.alive(stamp)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not owner.alive(stamp), "a zombie counts as dead"
    child.communicate()

    assert not owner.alive(stamp)


def test_a_later_process_with_the_same_number_is_another() -> None:
    assert not owner.alive(f"{os.getpid()}-1")


def test_what_names_no_process_has_a_dead_owner() -> None:
    assert not any(owner.alive(text) for text in ("", "1", "x-y", "1-", f"{os.getpid()}-", "99999999-"))
