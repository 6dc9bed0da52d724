"""Fixtures for tests of every package."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.certificates import Certificates, make_certificates


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that workers may write to, whoever they are: pytest's own are closed to all but their owner."""
    directory = Path(tempfile.mkdtemp(prefix="gatepost-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A short path that other users may enter: Dovecot's and gatepost's workers are not root."""
    directory = Path(tempfile.mkdtemp(prefix="gatepost-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def certificates(scratch: Path) -> Certificates:
    directory = scratch / "certificates"
    directory.mkdir()
    return make_certificates(directory)


@pytest.fixture(scope="module")
def directory(scratch: Path, request: pytest.FixtureRequest) -> Path:
    """A directory for one story file. No two of them have the same name."""
    path = scratch / str(request.node.name).rpartition("/")[2].removesuffix(".py")
    path.mkdir(exist_ok=True)
    return path
