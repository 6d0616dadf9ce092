import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell has what it starts in the background ignore it, and so would all that is started here."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
