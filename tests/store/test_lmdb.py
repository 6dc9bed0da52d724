"""The engine: many processes at once, some of them killed; its size; what it costs in memory."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.store.lmdb import LmdbTable
from gatepost.store.table import StoreError

MIB = 1 << 20
SECONDS = 30.0  # longest wait for a child
SESSION_BYTES = 150  # a TLS 1.2 session as a server stores it; see tests/tls/test_session_cache.py


def soon() -> float:
    return time.time() + 300


@contextlib.contextmanager
def child(path: Path, code: str, *, stdin: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Python that has ``table`` and ``soon()``, and says what it likes on its standard output."""
    script = f"""
import os, sys, time
from gatepost.store.lmdb import LmdbTable
table = LmdbTable({str(path)!r}, {MIB})
def soon():
    return time.time() + 300
{code}
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, "-c", script], stdin=stdin, stdout=subprocess.PIPE, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def said(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_what_one_process_puts_another_gets(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), MIB)
    table.put(b"ours", b"1", soon())
    with child(
        path, "print(table.get(b'ours'), table.keep(b'k', b'theirs', soon()), flush=True); input()"
    ) as other:
        assert said(other) == b"b'1' b'theirs'\n"
        assert table.keep(b"k", b"ours", soon()) == b"theirs"
    table.close()


def test_many_processes_count_together(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), MIB)
    code = "for _ in range(500): table.increment(b'n', 1, soon())\nprint('done', flush=True)"
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(child(path, code)) for _ in range(3)]
        assert [said(process) for process in children] == [b"done\n"] * 3
    assert table.increment(b"n", 0, soon()) == 1500
    table.close()


def test_writers_that_are_killed_block_nobody_and_leave_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), MIB)
    chance = random.Random(1)
    code = """
n = 0
print("ready", flush=True)
while True:
    n += 1
    table.put(b"%d %d" % (os.getpid(), n), b"%d" % n * 40, soon())
    table.keep(b"k%d" % (n % 5), b"x", time.time() + 0.001)
"""
    for _ in range(12):
        with child(path, code) as victim:
            assert said(victim) == b"ready\n"
            # Killed at any point of its loop, most of which is inside a transaction.
            deadline = time.monotonic() + SECONDS
            while table.get(b"%d 1" % victim.pid) is None:
                assert time.monotonic() < deadline
            for n in range(chance.randrange(200)):
                table.put(b"ours %d" % n, b"value", soon())
            victim.send_signal(signal.SIGKILL)
            victim.wait(SECONDS)
        table.put(b"still", b"here", soon())
        assert table.get(b"still") == b"here"
        n = 1
        while (value := table.get(b"%d %d" % (victim.pid, n))) is not None:
            assert value == b"%d" % n * 40
            n += 1
        assert n > 1
        # And nothing behind the first that is not there.
        assert all(table.get(b"%d %d" % (victim.pid, n + more)) is None for more in range(1, 10))
    table.close()


def test_a_writer_killed_inside_its_transaction_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), MIB)
    table.put(b"before", b"value", soon())
    code = """
def half(writing):
    table._put(writing, b"half", b"done", soon())
    print("inside", flush=True)
    time.sleep(60)
table._write(half)
"""
    for _ in range(3):
        with child(path, code) as victim:
            assert said(victim) == b"inside\n"
            assert table.get(b"before") == b"value"  # readers wait for nobody
            victim.send_signal(signal.SIGKILL)
            victim.wait(SECONDS)
            table.put(b"after", b"value", soon())
            assert table.get(b"half") is None
            assert table.get(b"before") == b"value"
    table.close()


def test_readers_that_are_killed_do_not_fill_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), MIB)
    code = """
with table._env.begin() as reading:
    reading.get(b"x", db=table._log)
    print("inside", flush=True)
    time.sleep(60)
"""
    for _ in range(2):
        with child(path, code) as victim:
            assert said(victim) == b"inside\n"
            victim.send_signal(signal.SIGKILL)
            victim.wait(SECONDS)
        # Its snapshot holds every page that is replaced from now on, until nothing is free.
        for n in range(8000):
            table.put(b"%d" % n, bytes(1500), soon())
    assert table.get(b"7999") == bytes(1500)
    assert path.stat().st_blocks * 512 <= 3 * MIB + MIB
    table.close()


def test_ten_megabytes_hold_forty_thousand_sessions(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), 10 * MIB)
    keys = [os.urandom(32) for _ in range(40000)]
    ends = soon()
    for key in keys:
        table.put(key, os.urandom(SESSION_BYTES), ends)
    assert table.count() == 40000
    assert all(table.get(key) is not None for key in keys)
    # And then it does not grow any more: new ones are there, as many old ones are not.
    for _ in range(20000):
        table.put(os.urandom(32), bytes(SESSION_BYTES), ends)
    assert 40000 <= table.count() < 60000
    assert table.get(keys[0]) is None
    assert table.get(keys[-1]) is not None
    assert path.stat().st_blocks * 512 < 20 * MIB
    table.close()


@pytest.mark.parametrize("size", [[0], [150], [1880, 1900, 1920], [8192], [10, 150, 1800, 2500, 8192]])
def test_values_of_any_size_never_fill_it(tmp_path: Path, size: list[int]) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), 32768)
    chance = random.Random(2)
    for n in range(2000):
        key, value = b"%d" % n, bytes(chance.choice(size))
        table.put(key, value, soon())
        assert table.get(key) == value
        if chance.random() < 0.2:
            table.remove(b"%d" % chance.randrange(n + 1))
    assert path.stat().st_blocks * 512 <= 3 * 32768 + MIB
    table.close()


def test_a_reader_that_stands_still_fills_the_file_and_then_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = LmdbTable(str(path), 65536)
    code = """
with table._env.begin() as reading:
    reading.get(b"x", db=table._log)
    print("inside", flush=True)
    input()
"""
    with child(path, code, stdin=subprocess.PIPE) as reader:
        assert said(reader) == b"inside\n"

        def fill() -> None:
            for n in range(20000):
                table.put(b"%d" % n, bytes(1500), soon())

        with pytest.raises(StoreError, match="MapFullError"):
            fill()
        reader.communicate(b"\n", SECONDS)
    for n in range(1000):
        table.put(b"again %d" % n, bytes(1500), soon())
    assert table.get(b"again 999") == bytes(1500)
    table.close()


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        LmdbTable(str(tmp_path / "table"), MIB).close()
    finally:
        os.umask(old)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "table": 0o600,
        "table-lock": 0o600,
    }


def _directory(path: Path) -> None:
    path.mkdir()


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20000))


@pytest.mark.parametrize("spoil", [_directory, _garbage])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "table")
    with pytest.raises(StoreError, match="cannot open the shared table: "):
        LmdbTable(str(tmp_path / "table"), MIB)


def test_a_closed_table_says_so(tmp_path: Path) -> None:
    table = LmdbTable(str(tmp_path / "table"), MIB)
    table.close()
    calls: list[Callable[[], object]] = [
        lambda: table.get(b"k"),
        lambda: table.kept(b"k"),
        lambda: table.put(b"k", b"v", soon()),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()
