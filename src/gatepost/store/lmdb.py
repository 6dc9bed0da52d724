"""The engine on one machine: one LMDB file for each table.

Theory of operation. LMDB is a copy-on-write B-tree in a mapped file: readers take a snapshot and wait for nobody,
one writer at a time works under a robust lock, and a transaction is there when the page that names it is written,
or not at all. So a process killed in the middle of anything leaves what was there before, and the next writer takes
the lock over. The file is not synced: what it holds is worth nothing after a restart of the machine.

Entries lie in a log, under numbers that only grow, so that the oldest is the first and pages fill up; an index
leads from keys to numbers. Each log entry knows how many bytes had ever been put when it was put: what is between
the first and the last is what the table holds, without a counter to maintain. The budget counts those bytes; the
map is larger, because pages are never full and a transaction needs new ones before it gives back the old.

An environment must not be used across fork: each process opens its own, after it.
"""

import struct
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar, cast

import lmdb

from .table import MAX_KEPT, MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError

P = ParamSpec("P")
T = TypeVar("T")

# Part of the name of a file of this kind: the number of the layout below, and whose pages they are.
FORMAT = "1-lmdb{}.{}".format(*lmdb.version())

_ENTRY = struct.Struct(">dQB")  # expiry, bytes ever put up to and with this entry, length of the key behind it
_NUMBER = struct.Struct(">Q")  # place in the log
_EXPIRY = struct.Struct(">d")
_COUNTER = struct.Struct(">q")
_LEAST_COUNT, _MOST_COUNT = -(2**63), 2**63 - 1

_PAGE_BYTES = 4096
_IN_PAGE_BYTES = 1900  # a larger entry gets pages of its own; LMDB puts two entries at least into each page
_INDEX_BYTES = 16  # of an entry beside key and number, in the log and in the index
_EXPIRED_AT_ONCE = 2  # expired entries dropped by one put: enough to win against any rate of puts
_ROOM_FACTOR, _ROOM_BYTES = 3, 1 << 20  # map: budget * factor + bytes. Measured use is 1.1 to 1.6 times the budget.
_MAX_READERS = 1022  # processes at once, old workers that drain included; 64 bytes each
_DROPPED = 16  # entries at once, when no page is free


class LmdbTable:
    """A table in the file ``path``, made if it is not there, with about ``budget_bytes`` of entries."""

    def __init__(self, path: str, budget_bytes: int) -> None:
        """Raises StoreError."""
        self._budget = budget_bytes
        try:
            self._env = lmdb.open(
                path,
                subdir=False,
                map_size=_rounded(budget_bytes * _ROOM_FACTOR + _ROOM_BYTES),
                max_dbs=3,
                max_readers=_MAX_READERS,
                max_spare_txns=1,
                mode=0o600,
                sync=False,
                metasync=False,
                readahead=False,
                # Not writemap: a full tmpfs would then kill the process (SIGBUS) instead of failing a write.
            )
            self._log = self._env.open_db(b"log")
            self._index = self._env.open_db(b"index")
            self._kept = self._env.open_db(b"kept")
            # A reader that was killed would hold back the pages of its snapshot.
            self._env.reader_check()
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"cannot open the shared table: {_said(error)}") from error

    def close(self) -> None:
        """For good. A process that ends need not."""
        self._env.close()

    def get(self, key: bytes) -> bytes | None:
        if not _is_key(key):
            return None
        try:
            with self._env.begin() as reading:
                entry = self._entry(reading, key)
        except lmdb.Error as error:
            raise StoreError(_said(error)) from error
        if entry is None:
            return None
        if _ENTRY.unpack_from(entry)[0] <= time.time():
            self.remove(key)
            return None
        return _value(entry)

    def put(self, key: bytes, value: bytes, expires: float) -> None:
        _check(key, value)
        self._write(self._put, key, value, expires)

    def increment(self, key: bytes, by: int, expires: float) -> int:
        _check(key, b"")
        return self._write(self._increment, key, by, expires)

    def remove(self, key: bytes) -> None:
        if _is_key(key):
            self._write(self._remove, key)

    def keep(self, key: bytes, value: bytes, expires: float) -> bytes:
        _check(key, value)
        return self._write(self._keep, key, value, expires)

    def kept(self, key: bytes) -> bytes | None:
        if not _is_key(key):
            return None
        try:
            with self._env.begin() as reading:
                there = reading.get(key, db=self._kept)
        except lmdb.Error as error:
            raise StoreError(_said(error)) from error
        if there is None or _EXPIRY.unpack_from(there)[0] <= time.time():
            return None
        return _bytes(there)[_EXPIRY.size :]

    def count(self) -> int:
        """How many entries there are, expired ones included."""
        with self._env.begin() as reading:
            entries: int = reading.stat(self._log)["entries"]
            return entries

    def _write(self, work: "Callable[Concatenate[lmdb.Transaction, P], T]", *args: P.args, **named: P.kwargs) -> T:
        """Do ``work`` in a transaction, again after clearing up where the map is full. Raises StoreError."""
        try:
            for clear_up in (self._env.reader_check, self._drop_oldest):
                try:
                    with self._env.begin(write=True) as writing:
                        return work(writing, *args, **named)
                except lmdb.MapFullError:
                    # Readers that were killed hold pages; if it was not that, entries are too scattered.
                    clear_up()
            with self._env.begin(write=True) as writing:
                return work(writing, *args, **named)
        except lmdb.Error as error:
            raise StoreError(_said(error)) from error

    def _drop_oldest(self) -> None:
        """Drop some entries from the oldest end: a transaction so small that it finds pages where others do not."""
        with self._env.begin(write=True) as writing, writing.cursor(db=self._log) as cursor:
            found, count = cursor.first(), _DROPPED
            while found and count:
                writing.delete(_key(_bytes(cursor.value())), db=self._index)
                cursor.delete()
                found, count = bool(cursor.key()), count - 1

    # Inside one transaction

    def _entry(self, transaction: lmdb.Transaction, key: bytes) -> bytes | None:
        number = transaction.get(key, db=self._index)
        return None if number is None else cast("bytes | None", transaction.get(number, db=self._log))

    def _remove(self, writing: lmdb.Transaction, key: bytes) -> None:
        number = writing.pop(key, db=self._index)
        if number is not None:
            writing.delete(number, db=self._log)

    def _put(self, writing: lmdb.Transaction, key: bytes, value: bytes, expires: float) -> None:
        """The value as the youngest entry. What is too old, or in its way, goes first."""
        self._remove(writing, key)
        charge = _charge(len(key), len(value))
        if charge > self._budget:
            raise StoreError("the value is larger than the table")
        with writing.cursor(db=self._log) as cursor:
            number, total = 1, charge
            if cursor.last():
                number = _NUMBER.unpack(cursor.key())[0] + 1
                total += _ENTRY.unpack_from(cursor.value())[1]
                self._make_room(writing, cursor, total)
            writing.put(
                _NUMBER.pack(number),
                _ENTRY.pack(expires, total, len(key)) + key + value,
                db=self._log,
                append=True,
            )
        writing.put(key, _NUMBER.pack(number), db=self._index)

    def _make_room(self, writing: lmdb.Transaction, cursor: lmdb.Cursor, total: int) -> None:
        """Drop a few expired entries from the oldest end, and any for which ``total`` bytes leave no room."""
        now, expired = time.time(), 0
        found = cursor.first()
        while found:
            entry = _bytes(cursor.value())
            end, before, length = _ENTRY.unpack_from(entry)
            size = _charge(length, len(entry) - _ENTRY.size - length)
            if total - before + size <= self._budget:
                expired += 1
                if end > now or expired > _EXPIRED_AT_ONCE:
                    return
            writing.delete(_key(entry), db=self._index)
            cursor.delete()  # and go to the next one
            found = bool(cursor.key())

    def _increment(self, writing: lmdb.Transaction, key: bytes, by: int, expires: float) -> int:
        entry = self._entry(writing, key)
        if entry is None or _ENTRY.unpack_from(entry)[0] <= time.time() or len(_value(entry)) != _COUNTER.size:
            total = _saturated(by)
            self._put(writing, key, _COUNTER.pack(total), expires)
            return total
        total = _saturated(_COUNTER.unpack(_value(entry))[0] + by)
        number = writing.get(key, db=self._index)
        assert number is not None
        writing.put(number, entry[: -_COUNTER.size] + _COUNTER.pack(total), db=self._log)
        return total

    def _keep(self, writing: lmdb.Transaction, key: bytes, value: bytes, expires: float) -> bytes:
        now = time.time()
        there = writing.get(key, db=self._kept)
        if there is not None and _EXPIRY.unpack_from(there)[0] > now:
            return _bytes(there)[_EXPIRY.size :]
        with writing.cursor(db=self._kept) as cursor:
            ends = sorted((_EXPIRY.unpack_from(held)[0], name) for name, held in cursor if name != key)
        for position, (end, name) in enumerate(ends):
            if end <= now or len(ends) - position >= MAX_KEPT:
                writing.delete(name, db=self._kept)
        writing.put(key, _EXPIRY.pack(expires) + value, db=self._kept)
        return value


def _is_key(key: bytes) -> bool:
    return 0 < len(key) <= MAX_KEY_BYTES


def _check(key: bytes, value: bytes) -> None:
    if not _is_key(key):
        raise StoreError(f"a key must have 1 to {MAX_KEY_BYTES} bytes")
    if len(value) > MAX_VALUE_BYTES:
        raise StoreError(f"a value must not have more than {MAX_VALUE_BYTES} bytes")


def _bytes(found: object) -> bytes:
    """What transactions give that are not asked for memoryviews."""
    return cast("bytes", found)


def _key(entry: bytes) -> bytes:
    return entry[_ENTRY.size : _ENTRY.size + entry[_ENTRY.size - 1]]


def _value(entry: bytes) -> bytes:
    return entry[_ENTRY.size + entry[_ENTRY.size - 1] :]


def _charge(key_bytes: int, value_bytes: int) -> int:
    """What an entry costs of the budget."""
    size = _ENTRY.size + key_bytes + value_bytes
    if size > _IN_PAGE_BYTES:
        size = _rounded(size + _INDEX_BYTES)
    return size + _NUMBER.size + _INDEX_BYTES


def _saturated(number: int) -> int:
    return max(_LEAST_COUNT, min(_MOST_COUNT, number))


def _said(error: Exception) -> str:
    """LMDB's words for what failed: names of calls and states, nothing of the content."""
    return f"{type(error).__name__}: {error}"


def _rounded(size: int) -> int:
    """``size`` in whole pages."""
    return -(-size // _PAGE_BYTES) * _PAGE_BYTES
