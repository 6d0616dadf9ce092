"""`make bench-release`: deploys and rollbacks under load, and what the visitors noticed."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab import console, labs, playbook
from lab.labs import Lab
from tests.lab import releases
from tests.lab.answers import Summary, told
from tests.lab.conftest import booted
from tests.lab.release_audit import Mails, Tasks, audit_mails, audit_tasks
from tests.lab.traffic import Traffic, traffic, wait, web

DEBIAN = os.environ.get("DEBIAN", "12")
MACHINES = os.environ.get("MACHINES", "1")
# So that files named by pages of a while ago are among what is fetched, and that a task crosses each switch.
PAUSE = 35


@dataclass
class Step:
    """One run of a playbook under load. `old` and `new` are releases as X-Release names them."""

    what: str
    old: str
    new: str
    begun: float = field(default_factory=time.time)
    ended: float = 0

    def switches(self, summary: Summary, hosts: int) -> list[float]:
        """When each web host first answered with the new release; empty as long as one has not."""
        first = summary.first_of(self.new, self.begun)
        return sorted(first.values()) if len(first) == hosts else []

    def told(self, summary: Summary, hosts: int) -> str:
        switched = self.switches(summary, hosts)
        after = f"{switched[-1] - self.begun:.1f} s" if switched else "not seen"
        during = summary.between(self.begun, self.ended)
        return (
            f"{self.what:<10} {self.old} → {self.new}: switched after {after}, {self.ended - self.begun:.1f} s in all,"
            f" failed {len(during.failed)}, slowest {during.slowest:.2f} s"
        )


@dataclass
class Bench:
    lab: Lab
    visitors: Traffic
    current: str
    pause: float
    steps: list[Step] = field(default_factory=list)

    def deploy(self, commit: str) -> None:
        name = releases.name(commit)
        self.step("deploy", name, lambda: self.play("deploy.yml", release=commit))

    def rollback(self, to: str) -> None:
        self.step("rollback", to, lambda: self.play("rollback.yml"))

    def play(self, book: str, **variables: str) -> None:
        playbook.run(self.lab, book, self.lab.directory / f"{book}.log", **variables)

    def step(self, what: str, new: str, work: Callable[[], None]) -> None:
        step = Step(what, self.current, new)
        with console.step(f"{what} {new}", what):
            work()
        step.ended = time.time()
        self.steps.append(step)
        self.current = new
        wait(self.visitors, self.pause)


@dataclass
class Result:
    lab: Lab
    steps: list[Step]
    summary: Summary
    mails: Mails
    tasks: Tasks

    @property
    def noticed(self) -> bool:
        """Whether anything failed, was lost or came twice; how long it took is for the reader to judge."""
        return any((self.summary.failed, self.mails.lost, self.mails.twice, self.tasks.lost, self.tasks.begun_twice))

    def __str__(self) -> str:
        hosts = len(web(self.lab))
        moments = [moment for step in self.steps for moment in step.switches(self.summary, hosts)]
        over = self.summary.over(moments)
        finished = sum(not answer.error for answer in over)
        lines = [
            *(step.told(self.summary, hosts) for step in self.steps),
            *told(self.summary),
            f"at switch  {finished} of {len(over)} that take 10 s and were under way then finished",
            f"mails      {self.mails}",
            f"tasks      {self.tasks}",
        ]
        return "\n".join(lines)


def installed(lab: Lab) -> str:
    """The machines get a first release that has the app `bench`."""
    commit = releases.release("1")
    with console.step("Deploying with ansible-playbook site.yml", "site.yml"):
        playbook.run(lab, "site.yml", lab.directory / "site.log", app_release_ref=commit)
    return releases.name(commit)


def measure(lab: Lab, debian: str, current: str, work: Callable[[Bench], None], pause: float = PAUSE) -> Result:
    """`work` deploys and rolls back while visitors come. The machines run the release `current`, which has `bench`."""
    with traffic(lab, debian) as visitors:
        bench = Bench(lab, visitors, current, pause)
        wait(visitors, pause)
        work(bench)
        summary = visitors.end()
    mails = audit_mails(lab, summary.registered, visitors.run)
    return Result(lab, bench.steps, summary, mails, audit_tasks(lab))


def three_deploys_and_two_rollbacks(bench: Bench) -> None:
    one = bench.current
    two, three, four = (releases.release(marker) for marker in ("2", "3", "4"))
    bench.deploy(two)
    bench.rollback(one)
    bench.deploy(three)
    bench.deploy(four)
    bench.rollback(releases.name(three))
    # Nothing to switch: how long it takes to find that out.
    bench.deploy(three)


def main() -> None:
    machines = labs.CLUSTER if MACHINES == "cluster" else labs.SINGLE
    with booted("test" if machines == labs.SINGLE else "cluster", DEBIAN, machines) as lab:
        result = measure(lab, DEBIAN, installed(lab), three_deploys_and_two_rollbacks)
    print(f"\nDebian {DEBIAN}, {'one VM' if machines == labs.SINGLE else 'two web hosts of seven machines'}\n{result}")
    sys.exit(result.noticed)


if __name__ == "__main__":
    main()
