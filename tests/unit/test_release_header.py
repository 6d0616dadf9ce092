from django.conf import settings
from django.test import TestCase


class ReleaseTests(TestCase):
    def test_every_answer_names_the_release(self) -> None:
        for path in ("/health/", "/accounts/login/", "/nowhere/"):
            with self.subTest(path):
                self.assertEqual(self.client.get(path).headers["X-Release"], settings.RELEASE)
