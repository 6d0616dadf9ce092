import signal
from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase

from tests.unit.test_celery_settings import run

# Where Python calls back, as its import system does for each module, it prints an exception and goes on.
PRESSED_IN_A_CALLBACK = """
import os, signal, weakref
from config.settings import *
class Referent: pass
referent = Referent()
reference = weakref.ref(referent, lambda _: os.kill(os.getpid(), signal.SIGINT))
del referent
"""


class ManageTests(SimpleTestCase):
    def test_ctrl_c_ends_it_wherever_its_start_is(self) -> None:
        with TemporaryDirectory() as folder:
            Path(folder, "pressed.py").write_text(PRESSED_IN_A_CALLBACK)
            result = run("manage.py", "check", PYTHONPATH=folder, DJANGO_SETTINGS_MODULE="pressed")

        self.assertEqual((result.returncode, result.stdout, result.stderr), (-signal.SIGINT, "", ""))

    def test_a_command_may_still_clean_up(self) -> None:
        code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
        result = run(
            "manage.py",
            "shell",
            "--no-imports",
            "-c",
            f"try:\n    {code}\nexcept KeyboardInterrupt:\n    print('clean')",
        )

        self.assertEqual((result.returncode, result.stdout), (0, "clean\n"), result.stderr)
