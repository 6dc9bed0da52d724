"""What every table promises, whatever its engine."""

import time

import pytest

from gatepost.store.table import MAX_KEPT, MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError, Table

SECOND = 1.0


def soon() -> float:
    return time.time() + 300


def past() -> float:
    return time.time() - SECOND


def test_what_is_put_is_got(table: Table) -> None:
    assert table.get(b"key") is None
    table.put(b"key", b"value", soon())
    table.put(b"\0", b"", soon())
    assert table.get(b"key") == b"value"
    assert table.get(b"\0") == b""
    assert table.get(b"ke") is None


def test_a_value_is_replaced(table: Table) -> None:
    table.put(b"key", b"value", past())
    table.put(b"key", b"other", soon())
    assert table.get(b"key") == b"other"


def test_an_expired_value_is_gone(table: Table) -> None:
    table.put(b"key", b"value", past())
    assert table.get(b"key") is None


def test_remove(table: Table) -> None:
    table.put(b"key", b"value", soon())
    table.remove(b"key")
    table.remove(b"key")
    assert table.get(b"key") is None


@pytest.mark.parametrize("size", [0, 1, 1000, 3000, MAX_VALUE_BYTES])
def test_sizes_of_values(table: Table, size: int) -> None:
    table.put(b"k" * MAX_KEY_BYTES, b"v" * size, soon())
    assert table.get(b"k" * MAX_KEY_BYTES) == b"v" * size


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (b"", b"secret", "a key must have 1 to 64 bytes"),
        (b"k" * 65, b"secret", "a key must have 1 to 64 bytes"),
        (b"k", b"secret" * 2000, "a value must not have more than 8192 bytes"),
    ],
)
def test_what_is_too_large_is_refused_without_being_shown(
    table: Table, key: bytes, value: bytes, text: str
) -> None:
    for call in (table.put, table.keep):
        with pytest.raises(StoreError) as caught:
            call(key, value, soon())
        assert str(caught.value) == text
    assert table.get(b"k") is None


@pytest.mark.parametrize("key", [b"", b"k" * 1000])
def test_keys_that_cannot_be_there_are_not(table: Table, key: bytes) -> None:
    assert table.get(key) is None
    assert table.kept(key) is None
    table.remove(key)


def test_counting(table: Table) -> None:
    assert table.increment(b"n", 5, soon()) == 5
    assert table.increment(b"n", -7, soon()) == -2
    assert table.increment(b"n", 2**63, soon()) == 2**63 - 2
    assert table.increment(b"n", 2**63, soon()) == 2**63 - 1
    assert table.increment(b"m", -(2**70), soon()) == -(2**63)


def test_a_count_keeps_its_expiry_and_then_begins_again(table: Table) -> None:
    assert table.increment(b"n", 5, past()) == 5
    assert table.increment(b"n", 5, soon()) == 5
    assert table.increment(b"n", 5, past()) == 10
    assert table.increment(b"n", 5, soon()) == 15


def test_what_is_no_number_is_replaced_by_one(table: Table) -> None:
    table.put(b"n", b"words", soon())
    assert table.increment(b"n", 1, soon()) == 1


def test_the_first_that_is_kept_stays(table: Table) -> None:
    assert table.kept(b"key") is None
    assert table.keep(b"key", b"first", soon()) == b"first"
    assert table.keep(b"key", b"second", soon()) == b"first"
    assert table.kept(b"key") == b"first"
    assert table.get(b"key") is None


def test_what_is_kept_expires(table: Table) -> None:
    table.keep(b"key", b"first", past())
    assert table.kept(b"key") is None
    assert table.keep(b"key", b"second", soon()) == b"second"


def test_only_so_much_is_kept(table: Table) -> None:
    for number in range(MAX_KEPT + 10):
        table.keep(b"%d" % number, b"value", soon() + number)
    assert [number for number in range(MAX_KEPT + 10) if table.kept(b"%d" % number)] == list(
        range(10, MAX_KEPT + 10)
    )


def test_what_is_full_lets_the_oldest_go_but_not_what_is_kept(table: Table) -> None:
    table.keep(b"kept", b"value", soon())
    for number in range(2000):
        table.put(b"%04d" % number, bytes(100), soon())
        assert table.get(b"0000") is None or number < 1000  # looking does not make it younger
    there = [number for number in range(2000) if table.get(b"%04d" % number) is not None]
    assert there == list(range(there[0], 2000))
    assert 0 < there[0] < 1999
    assert table.kept(b"kept") == b"value"


def test_expired_entries_make_room_first(table: Table) -> None:
    for number in range(2000):
        table.put(b"%04d" % number, bytes(10), past())
    table.put(b"alive", b"value", soon())
    for number in range(200):
        table.put(b"new %04d" % number, bytes(10), soon())
    assert table.get(b"alive") == b"value"
