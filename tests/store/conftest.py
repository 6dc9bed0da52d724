"""A table in a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.store.lmdb import LmdbTable


@pytest.fixture
def table(tmp_path: Path) -> Iterator[LmdbTable]:
    """With room for 64 KiB."""
    made = LmdbTable(str(tmp_path / "table"), 65536)
    yield made
    made.close()
