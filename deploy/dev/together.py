"""Honcho, which knows nothing of a terminal that is closed: it would die, and leave behind what it has started."""

import os
import signal
from types import FrameType

from honcho.command import main


def end(number: int, frame: FrameType | None) -> None:
    # Nobody reads any more, and writing to the terminal would fail.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # Heard by Honcho itself; its helpers have this handler too, and ignore what it sends.
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, end)
    main()
