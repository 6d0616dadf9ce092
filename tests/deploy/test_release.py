"""Releases and their links, in a folder instead of /srv/saas; tests/lab/test_site_release.py has the units."""

import os
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from saas import keep, links, release, running, settling, verify
from saas.keep import Record
from saas.links import UnfitError
from saas.settling import Worker

WORKER, DOUBLE, BEAT = "celery-worker@email.service", "celery-worker@email-next.service", "celery-beat.service"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in (("ROOT", ""), ("RELEASES", "releases"), ("ENVIRONMENTS", "venvs")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setattr(links, name, tmp_path / folder)
    monkeypatch.setattr(keep, "RECORD", tmp_path / "deploy.json")
    return tmp_path


def built(root: Path, name: str, age: int | None = None) -> str:
    """A release that was finished so many seconds ago, or never."""
    folder = root / "releases" / name
    folder.mkdir()
    (root / "venvs" / name).mkdir()
    (folder / ".venv").symlink_to(root / "venvs" / name)
    if age is not None:
        (folder / links.FINISHED).touch()
        os.utime(folder / links.FINISHED, (10_000 - age, 10_000 - age))
    return name


def there(root: Path) -> set[str]:
    return {folder.name for folder in (root / "releases").iterdir()}


def test_a_link_leads_to_one_release_or_the_other(root: Path) -> None:
    links.lead("current", built(root, "aaaa"))
    links.lead("current", built(root, "bbbb"))

    assert links.target("current") == "bbbb"


@pytest.mark.parametrize("name", ["cccc", "../venvs", "", "aaaa/app"])
def test_it_leads_nowhere_else(root: Path, name: str) -> None:
    links.lead("current", built(root, "aaaa"))

    with pytest.raises(UnfitError, match="there is no release"):
        links.lead("current", name)

    assert links.target("current") == "aaaa"


def test_five_finished_releases_are_kept_and_unfinished_ones_push_none_out(root: Path) -> None:
    for age in range(7):
        built(root, f"done{age}", age)
    for number in range(6):
        built(root, f"half{number}")

    links.prune(set())

    assert there(root) == {f"done{age}" for age in range(5)} == {folder.name for folder in (root / "venvs").iterdir()}


def test_what_a_link_leads_to_is_kept_however_old_and_unfinished(root: Path) -> None:
    for age in range(6):
        built(root, f"done{age}", age)
    links.lead("previous", "done5")
    links.lead("current", built(root, "half"))

    links.prune(set())

    assert {"half", "done5"} <= there(root)


def test_what_still_runs_goes_later(root: Path) -> None:
    links.lead("current", built(root, "good", 1))
    built(root, "half")

    links.prune({"half"})
    assert there(root) == {"good", "half"}

    links.prune(set())
    assert there(root) == {"good"}


def test_a_file_beside_the_releases_is_left_alone(root: Path) -> None:
    links.lead("current", built(root, "good", 1))
    (root / "releases/notes").touch()

    links.prune(set())

    assert there(root) == {"good", "notes"}


def test_a_release_that_is_deployed_once_more_is_the_latest_again(root: Path) -> None:
    built(root, "done1", 1)
    built(root, "done2", 2)

    links.finish("done2", "done1")

    assert links.finished() == ["done2", "done1"]


def test_what_was_gone_back_from_is_not_gone_back_to(root: Path) -> None:
    for age, name in enumerate(["bad", "good", "older"]):
        built(root, name, age)

    links.finish(built(root, "mended"), "good")

    assert links.finished() == ["mended", "good", "bad", "older"]


def test_a_clock_that_was_set_back_makes_none_the_oldest(root: Path) -> None:
    built(root, "good", -(10**10))

    links.finish(built(root, "newest"), "good")

    assert links.finished() == ["newest", "good"]


@pytest.fixture
def record(root: Path) -> Record:
    """Of a deploy from aaaa to bbbb, which has switched."""
    for name in ("older", "aaaa", "bbbb"):
        links.lead("current", built(root, name))
    links.lead("previous", "aaaa")
    return Record("deploy", "somebody@elsewhere", old="aaaa", new="bbbb", previous="older", since=0, connection=7)


def test_a_hold_that_ends_before_all_hosts_were_well_goes_back(record: Record) -> None:
    settling.conclude(record)

    assert (links.target("current"), links.target("previous"), links.finished()) == ("aaaa", "older", [])


def test_where_there_was_none_before_there_is_none_again(record: Record) -> None:
    record.previous = ""

    settling.conclude(record)

    assert (links.target("current"), links.target("previous")) == ("aaaa", "")


@pytest.mark.parametrize(("kind", "finished"), [("deploy", ["bbbb"]), ("rollback", [])])
def test_one_that_ends_after_that_stays(record: Record, kind: str, finished: list[str]) -> None:
    record.kind, record.stays = kind, True

    settling.conclude(record)

    assert (links.target("current"), links.finished()) == ("bbbb", finished)


def test_settling_by_hand_leaves_the_present_one(record: Record) -> None:
    settling.conclude(None)

    assert links.target("current") == "bbbb"


def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    keep.write(record)

    assert keep.read() == record


def test_one_that_was_cut_off_in_writing_says_nothing(root: Path) -> None:
    keep.RECORD.write_text('{"kind": "dep')

    assert keep.read() is None


@pytest.mark.parametrize(
    ("state", "name", "connection"),
    [
        pytest.param("inactive", "bbbb", 7, id="it has ended"),
        pytest.param("deactivating", "bbbb", 7, id="it is being settled"),
        pytest.param("active", "cccc", 7, id="it is another deploy's"),
        pytest.param("active", "bbbb", 8, id="it is of a connection that was cut"),
    ],
)
def test_nothing_is_done_without_a_hold_of_ones_own(
    record: Record, state: str, name: str, connection: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep.write(record)
    monkeypatch.setattr(keep, "state", lambda: state)
    monkeypatch.setattr(keep, "connection", lambda: connection)

    for step in (release.start, release.retire, release.switch, release.finish):
        with pytest.raises(UnfitError, match="has ended meanwhile"):
            step(Namespace(release=name))


def test_settling_tries_each_part_and_is_to_be_done_again_where_one_failed(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep.write(record)
    done: list[str] = []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(settling, "web", fail)
    monkeypatch.setattr(settling, "workers", lambda: done.append("workers"))
    monkeypatch.setattr(settling, "tidy", lambda: done.append("tidy"))
    monkeypatch.setattr(settling, "note", lambda record, faults: done.append(*faults))

    with pytest.raises(UnfitError, match="No space left"):
        settling.settle()

    assert done == ["workers", "tidy", "[Errno 28] No space left on device"]
    assert keep.read() == record


def test_a_release_needs_twice_the_room_of_the_present_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links.lead("current", built(root, "aaaa"))
    (root / "releases/aaaa/code").write_bytes(b"x" * 1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_500_000))

    with pytest.raises(UnfitError, match=r"1\.5 MB are free on .*, and a release takes 2\.0 MB"):
        release.room(Namespace(environment=False))


RUNS, FINISHES, GONE = "active", "deactivating", "inactive"


@pytest.mark.parametrize(
    ("worker", "told"),
    [
        pytest.param(Worker(RUNS, "old", "new"), {"restart": [WORKER]}, id="after a switch the double bridges"),
        pytest.param(Worker(RUNS, "old", ""), {"restart": [WORKER, DOUBLE]}, id="one that was left out needs one"),
        pytest.param(Worker(FINISHES, "old", "new"), {"restart": [WORKER]}, id="also while the old one finishes"),
        pytest.param(Worker(GONE, "", "new"), {"restart": [WORKER]}, id="also where it has ended"),
        pytest.param(Worker(RUNS, "new", "new"), {"start": [WORKER], "stop": [DOUBLE]}, id="then it goes"),
        pytest.param(Worker("activating", "new", "new"), {"start": [WORKER]}, id="and not before"),
        pytest.param(Worker(RUNS, "new", "bad"), {"start": [WORKER], "stop": [DOUBLE]}, id="a failure before retiring"),
        pytest.param(Worker(FINISHES, "new", "bad"), {"start": [WORKER], "restart": [DOUBLE]}, id="and after it"),
        pytest.param(Worker(FINISHES, "new", ""), {"start": [WORKER], "restart": [DOUBLE]}, id="where it died, too"),
        pytest.param(Worker(GONE, "", "bad"), {"restart": [WORKER], "stop": [DOUBLE]}, id="both are to be replaced"),
    ],
)
def test_settling_leaves_no_queue_without_a_worker(worker: Worker, told: dict[str, list[str]]) -> None:
    assert settling.orders("new", {WORKER: worker}, {}) == told


def test_beat_begins_again_with_the_current_release_alone() -> None:
    assert settling.orders("new", {}, {BEAT: "old"}) == {"restart": [BEAT]}
    assert settling.orders("new", {}, {BEAT: "new"}) == {"start": [BEAT]}


@pytest.mark.parametrize(
    ("state", "seconds", "of", "well"),
    [
        pytest.param("active", 4, "new", True, id="well"),
        pytest.param("active", 1, "new", False, id="only just started"),
        pytest.param("active", 4, "old", False, id="of another release"),
        pytest.param("activating", 4, "new", False, id="about to start again"),
    ],
)
def test_a_unit_lasts_that_has_been_up_for_a_while(
    state: str, seconds: float, of: str, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "release_of", lambda unit: of)
    began = str(round((time.monotonic() - seconds) * 1_000_000))

    assert verify.lasts({"ActiveState": state, "ActiveEnterTimestampMonotonic": began}, "new") is well


def test_a_worker_that_finishes_between_two_steps_is_left_to_fetch(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did not run for the first step, which therefore started no double for it."""
    other = "celery-worker@other.service"
    keep.write(replace(record, left_out=[DOUBLE]))
    unit = {"MainPID": "1", "StatusText": release.RETIRED}
    stopped: list[str] = []
    monkeypatch.setattr(keep, "state", lambda: "active")
    monkeypatch.setattr(keep, "connection", lambda: record.connection)
    monkeypatch.setattr(running, "workers", lambda: [WORKER, other])
    monkeypatch.setattr(running, "show", lambda *names: dict.fromkeys(names, unit))
    monkeypatch.setattr(running, "release_of", lambda unit: "aaaa")
    monkeypatch.setattr(running, "systemctl", lambda verb, names, *options: stopped.extend(names))

    release.retire(Namespace(release="bbbb"))

    assert stopped == [other]
