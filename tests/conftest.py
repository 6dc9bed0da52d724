"""Fixtures for tests of every package."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that workers may write to, whoever they are: pytest's own are closed to all but their owner."""
    directory = Path(tempfile.mkdtemp(prefix="gatepost-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)
