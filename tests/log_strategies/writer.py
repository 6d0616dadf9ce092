"""Processes that write numbered records at once, through the project's LOGGING. Prints what it took, to stderr."""

import argparse
import json
import logging
import os
import sys
import time
from logging.config import dictConfig
from pathlib import Path

from config.logging import Place, build
from tests.log_strategies.records import LONG, text

log = logging.getLogger("core")


def main() -> None:
    arguments = parsed()
    place = Place(arguments.folder, "INFO", arguments.size, 300, arguments.syslog, sentry_dsn=arguments.sentry)
    dictConfig(build(arguments.strategy, place, "INFO", "INFO"))
    # As the parents of Gunicorn's and Celery's processes do, before they have any.
    log.log(level(arguments), text(0, 0, arguments.long))
    start, hold = os.pipe()
    results, send = os.pipe()
    children = [fork(writer, arguments, start, hold, send) for writer in range(arguments.writers)]
    os.close(hold)
    os.close(send)
    with os.fdopen(results) as stream:
        taken = [json.loads(line) for line in stream]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    seconds = max(one["end"] for one in taken) - min(one["begin"] for one in taken)
    print(json.dumps({"codes": codes, "seconds": seconds, "cpu": sum(one["cpu"] for one in taken)}), file=sys.stderr)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategy")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--writers", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--size", type=int, default=10_000_000)
    parser.add_argument("--long", type=int, default=LONG)
    parser.add_argument("--syslog", default="/dev/log")
    parser.add_argument("--sentry", default="")
    return parser.parse_args()


def level(arguments: argparse.Namespace) -> int:
    return logging.ERROR if arguments.sentry else logging.INFO


def fork(writer: int, arguments: argparse.Namespace, start: int, hold: int, send: int) -> int:
    child = os.fork()
    if child:
        return child
    os.close(hold)
    # Ends when the parent has forked them all.
    os.read(start, 1)
    begin, before = time.monotonic(), time.process_time()
    for number in range(0 if writer else 1, arguments.records):
        log.log(level(arguments), text(writer, number, arguments.long))
    logging.shutdown()
    taken = {"begin": begin, "end": time.monotonic(), "cpu": time.process_time() - before}
    os.write(send, json.dumps(taken).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
