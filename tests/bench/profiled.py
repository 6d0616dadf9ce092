"""`python -m tests.bench.profiled FILE celery …` runs that and writes where its first thread's CPU went."""

import cProfile
import sys
import time

from celery.__main__ import main

if __name__ == "__main__":
    path, *sys.argv = sys.argv[1:]
    profile = cProfile.Profile(timer=time.thread_time)
    profile.enable()
    try:
        main()
    finally:
        profile.disable()
        profile.dump_stats(path)
