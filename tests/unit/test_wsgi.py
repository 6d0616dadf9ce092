import io
import runpy
from contextlib import redirect_stderr
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from tests.unit.test_settings import ROOT

WSGI = str(ROOT / "app/config/wsgi.py")


class WsgiTests(SimpleTestCase):
    def test_it_gives_the_application(self) -> None:
        self.assertTrue(callable(runpy.run_path(WSGI)["application"]))

    def test_a_wrong_setting_ends_gunicorn_as_a_whole(self) -> None:
        wrong = mock.patch("django.core.wsgi.get_wsgi_application", side_effect=ImproperlyConfigured("wrong"))
        with wrong, redirect_stderr(io.StringIO()) as output, self.assertRaises(SystemExit) as caught:
            runpy.run_path(WSGI)

        self.assertEqual(caught.exception.code, 3)
        self.assertEqual(output.getvalue(), "config.wsgi: wrong\n")
