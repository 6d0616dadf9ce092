from collections.abc import Sequence
from typing import Any
from unittest import TestSuite

from django.conf import settings
from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    """`manage.py test` runs tests/unit, which lies beside app/ and not in it."""

    def build_suite(self, test_labels: Sequence[str] | None = None, **kwargs: Any) -> TestSuite:
        labels = test_labels or [str(settings.BASE_DIR.parent / "tests" / "unit")]
        suite: TestSuite = super().build_suite(labels, **kwargs)
        return suite
