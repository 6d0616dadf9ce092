"""Runs the plan: `python -m tests.chaos.run [--seed N] [--short]`. Ends with 1 when something was lost."""

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.chaos import audit
from tests.chaos.faults import Saboteur
from tests.chaos.load import Crowd
from tests.chaos.plan import FULL, SHORT, Plan, Size
from tests.chaos.site import Site


def run(seed: int, size: Size, folder: Path) -> audit.Result:
    plan = Plan(seed, size)
    print(plan, flush=True)
    site = Site(plan, folder)
    try:
        site.wait_until_up()
        return under_fire(site, plan)
    finally:
        site.stop()


def under_fire(site: Site, plan: Plan) -> audit.Result:
    start = time.monotonic()

    def log(line: str) -> None:
        print(f"  {time.monotonic() - start:6.1f} s  {line}", flush=True)

    crowd, saboteur = Crowd(site), Saboteur(site, log)
    people = threading.Thread(target=crowd.work)
    people.start()
    for fault in plan.faults:
        while len(crowd.registered) < fault.after and people.is_alive():
            time.sleep(0.05)
        saboteur.commit(fault)
    people.join()
    log("everybody has registered")
    seconds = audit.wait_for_quiet(site)
    log("nothing is pending")
    result = audit.judge(site, crowd, saboteur)
    result.counts["seconds from the last fault and registration until nothing was pending"] = round(seconds, 1)
    result.expect(seconds < 300, "not within five minutes")
    audit.judge_consuming(result, site)
    print(result, flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs, kept")
    options = parser.parse_args()
    size = SHORT if options.short else FULL
    if options.keep:
        return bool(run(options.seed, size, options.keep).faults)
    with tempfile.TemporaryDirectory() as folder:
        return bool(run(options.seed, size, Path(folder)).faults)


if __name__ == "__main__":
    sys.exit(main())
