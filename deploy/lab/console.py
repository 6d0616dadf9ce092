"""What a person at the terminal, or reading a CI log, sees."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TTY = sys.stdout.isatty()
BOLD, DIM, GREEN, RED, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if TTY else ("",) * 5
CLEAR = "\r\033[K"

timings: list[tuple[str, float]] = []
_lock = threading.Lock()


def say(line: str = "", indent: int = 4) -> None:
    with _lock:
        print(f"{CLEAR if TTY else ''}{' ' * indent}{line}", flush=True)


def ok(line: str) -> None:
    say(f"{GREEN}✓{PLAIN} {line}")


@contextmanager
def step(title: str, short: str) -> Iterator[None]:
    """Announce a step and remember how long it took under its short name."""
    say(f"{BOLD}==> {title}{PLAIN}", indent=0)
    started = time.monotonic()
    yield
    timings.append((short, time.monotonic() - started))


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Live:
    """One line that shows what runs and for how long; on anything but a terminal it stays silent."""

    def __init__(self) -> None:
        self._text = ""
        self._since = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Live":
        if TTY:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if TTY:
            self._thread.join()
            print(CLEAR, end="", flush=True)

    def show(self, text: str) -> None:
        self._text, self._since = text, time.monotonic()

    def _tick(self) -> None:
        while not self._done.wait(0.5):
            line = f"    {self._text}  {duration(time.monotonic() - self._since)}"
            with _lock:
                print(CLEAR + DIM + line[: shutil.get_terminal_size().columns - 1] + PLAIN, end="", flush=True)


def fail(message: str) -> None:
    """A sentence on stderr, after everything already printed."""
    sys.stdout.flush()
    print(f"{CLEAR if TTY else ''}{RED}{message}{PLAIN}", file=sys.stderr, flush=True)
