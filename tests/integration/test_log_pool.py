"""What the worker's pool says of its processes goes where every line goes."""

import os
import signal
from pathlib import Path

from tests.integration.conftest import Start
from tests.integration.servers import wait_until


def test_a_killed_process_is_an_error_in_the_log(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "saas.log"
    changes = {"LOG_STRATEGY": "concurrent", "LOGS_DIR": str(tmp_path)}
    worker = start("celery", "-A", "config", "worker", "-Q", "pool", "-c", "1", **changes)
    wait_until(lambda: log.exists() and "is ready" in log.read_text(), "the worker is ready")
    pid = worker.popen.pid

    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)

    wait_until(lambda: "exited with 'signal 9 (SIGKILL)'" in log.read_text(), "the log tells of it")
    assert "[ERROR]" in log.read_text()
