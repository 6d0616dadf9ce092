"""An interrupted run removes what it made, as the lab's do."""

from tests.lab.conftest import pytest_configure

__all__ = ["pytest_configure"]
