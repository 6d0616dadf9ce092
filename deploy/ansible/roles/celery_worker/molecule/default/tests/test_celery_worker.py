"""What the role does for a machine, asked of the machine."""

import pytest
from testinfra.host import Host

from tests.lab.services import capabilities, restarts_when_killed

UNITS = ["celery-worker@celery.service", "celery-worker@email.service"]


@pytest.mark.parametrize("unit", UNITS)
def test_it_has_no_rights_of_root(host: Host, unit: str) -> None:
    assert capabilities(host, unit) == "0000000000000000"


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_back_and_consumes_when_it_was_killed(host: Host, unit: str) -> None:
    """Its unit is active once it consumes, not before."""
    assert restarts_when_killed(host, unit)
