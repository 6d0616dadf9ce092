"""Who this worker is: a name that no other worker, and no earlier life of this one, has."""

import ctypes
import os
import signal
import socket
import sys
import uuid
from typing import Any

from celery.signals import worker_process_init

# Made in the worker's first process and inherited by those it forks.
WORKER_PID = os.getpid()
IDENTITY = f"{socket.gethostname()}/{WORKER_PID}/{uuid.uuid4().hex[:8]}"
PR_SET_PDEATHSIG = 1


@worker_process_init.connect
def die_with_the_worker(**kwargs: Any) -> None:
    """An orphan would go on with a task whose lease nobody renews any more, beside the one that takes it over."""
    if sys.platform == "linux" and os.getpid() != WORKER_PID:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != WORKER_PID:
            os.kill(os.getpid(), signal.SIGKILL)
