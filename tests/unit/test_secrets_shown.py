"""What workers tell whoever asks them, as Flower does, holds no secret of the application."""

from django.test import SimpleTestCase

from tests.unit.test_celery_settings import run

SECRET = "very-secret"
VARIABLES = {
    "SECRET_KEY": SECRET * 5,
    "SECRET_KEY_FALLBACKS": SECRET * 6,
    "DATABASE_URL": f"postgres://saas:{SECRET}@localhost/saas",
    "CELERY_BROKER_URL": f"redis://saas:{SECRET}@localhost/0",
    "CELERY_RESULT_BACKEND": f"redis://saas:{SECRET}@localhost/1",
    "EMAIL_URL": f"smtp+tls://{SECRET}:{SECRET}@mail.example.org:587",
    "SENTRY_DSN": f"https://{SECRET}@sentry.example.org/1",
}
SHOW = """
import json, types
from celery.worker.control import conf
from config import celery_app as app
state = types.SimpleNamespace(app=app)
print(json.dumps([conf(state, with_defaults=True), conf(state, with_defaults=False), app.bugreport()]))
"""


class SecretsShownTests(SimpleTestCase):
    def test_none_is_in_the_settings_that_workers_and_reports_show(self) -> None:
        result = run("-c", SHOW, **VARIABLES)

        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("redis://saas:********@localhost:6379/0", result.stdout)
        self.assertNotIn(SECRET, result.stdout)
