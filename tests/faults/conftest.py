"""A table of faults is played once for each file."""

from pathlib import Path

import pytest

from tests.functional.certificates import Certificates

from .fault import Fault
from .runner import Performance


@pytest.fixture(scope="module")
def performance(directory: Path, certificates: Certificates, request: pytest.FixtureRequest) -> Performance:
    """``FAULTS`` of the module, as far as its tests were asked for."""
    faults: list[Fault] = request.module.FAULTS
    wanted = {item.name for item in request.session.items if item.getparent(pytest.Module) is request.node}
    return Performance(directory, [fault for fault in faults if f"test_fault[{fault}]" in wanted], certificates)
