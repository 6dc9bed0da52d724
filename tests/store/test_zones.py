import os
import time
from pathlib import Path

import pytest

from gatepost.store.lmdb import LmdbTable
from gatepost.store.runtime import RuntimeDirectory
from gatepost.store.zones import Zones


def close(zones: Zones, *names: tuple[str, int]) -> None:
    """LMDB files are opened once in a process: here one process is several workers in turn."""
    for name, size in names:
        table = zones.named(name, size).table
        assert isinstance(table, LmdbTable)
        table.close()


def soon() -> float:
    return time.time() + 60


def test_a_name_is_one_zone() -> None:
    zones = Zones()
    assert zones.named("SSL", 65536) is zones.named("SSL", 65536)
    assert zones.named("SSL", 65536) is not zones.named("ssl", 65536)


def test_without_zones_nothing_is_made(tmp_path: Path) -> None:
    zones, runtime = Zones(), RuntimeDirectory([str(tmp_path)])
    zones.prepare(runtime, None)
    zones.attach(pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_the_same_name_and_size_keep_what_they_hold(tmp_path: Path) -> None:
    runtime = RuntimeDirectory([str(tmp_path)])
    for expected in (None, b"value"):
        zones = Zones()
        zone = zones.named("SSL", 65536)
        zones.prepare(runtime, None)
        assert zone.table is None
        zones.attach(pytest.fail)
        assert zone.table is not None
        assert zone.table.get(b"key") == expected
        zone.table.put(b"key", b"value", soon())
        close(zones, ("SSL", 65536))
    other = Zones()
    wanted = [("SSL", 131072), ("ssl", 65536), ("../\udcff /" * 50, 65536)]
    for name, size in wanted:
        other.named(name, size)
    other.prepare(runtime, None)
    other.attach(pytest.fail)
    for name, size in wanted:
        table = other.named(name, size).table
        assert table is not None
        assert table.get(b"key") is None
    close(other, *wanted)
    runtime.prune(other.files())
    assert runtime.path is not None
    assert sorted(os.listdir(runtime.path)) == sorted(other.files())
    runtime.remove()


def test_a_zone_that_cannot_be_opened_is_done_without(tmp_path: Path) -> None:
    heard: list[str] = []
    runtime, zones = RuntimeDirectory([str(tmp_path)]), Zones()
    zone = zones.named("SSL", 65536)
    zones.prepare(runtime, None)
    runtime.remove()
    runtime = RuntimeDirectory([str(tmp_path)])
    runtime.make(None, 0)
    zones._directory = runtime.path
    (name, _) = zones.files()
    os.mkdir(runtime.file(name))
    zones.attach(heard.append)
    assert zone.table is None
    (line,) = heard
    assert line.startswith('shared memory zone "SSL" cannot be used: cannot open the shared table: ')
    os.rmdir(runtime.file(name))
    runtime.remove()
