"""Lines and counted runs, whatever the cuts; limits; and that no byte is searched twice."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.framing import Framer, TooLong

LIMIT = 12


class TestLine:
    def test_comes_with_its_end(self) -> None:
        framer = Framer(100)
        framer.feed(b"one\r\ntwo\n\nthr")
        assert [framer.line() for _ in range(4)] == [b"one\r\n", b"two\n", b"\n", None]
        framer.feed(b"ee\n")
        framer.done()
        assert framer.line() == b"three\n"
        assert framer.line() is None
        assert len(framer) == 0

    def test_of_exactly_the_limit_fits(self) -> None:
        framer = Framer(LIMIT)
        for _ in range(3):
            framer.feed(b"x" * (LIMIT - 1) + b"\n")
            assert framer.line() == b"x" * (LIMIT - 1) + b"\n"
            framer.done()

    @pytest.mark.parametrize("data", [b"x" * LIMIT, b"x" * LIMIT + b"\n", b"x" * 100])
    def test_longer_does_not(self, data: bytes) -> None:
        framer = Framer(LIMIT)
        framer.feed(data)
        with pytest.raises(TooLong):
            framer.line()
        assert framer.head() == b"x" * LIMIT

    def test_short_of_the_limit_may_still_end(self) -> None:
        framer = Framer(LIMIT)
        framer.feed(b"x" * (LIMIT - 1))
        assert framer.line() is None

    def test_many_short_ones_are_no_long_one(self) -> None:
        framer = Framer(LIMIT)
        framer.feed(b"noop\r\n" * 100)
        for _ in range(100):
            assert framer.line() == b"noop\r\n"
            framer.done()

    def test_counts_what_the_unit_had_before(self) -> None:
        framer = Framer(LIMIT)
        framer.feed(b"12345\n")
        assert framer.line() == b"12345\n"
        framer.feed(b"12345")
        assert framer.line() is None
        framer.feed(b"6")
        with pytest.raises(TooLong):
            framer.line()
        assert framer.head() == b"123456"

    def test_a_limit_of_nothing_waits_for_the_first_byte(self) -> None:
        framer = Framer(0)
        assert framer.line() is None
        framer.feed(b"x")
        with pytest.raises(TooLong):
            framer.line()
        assert framer.head() == b""


class TestTake:
    def test_gives_raw_bytes(self) -> None:
        framer = Framer(LIMIT)
        framer.feed(b"{5}\na\r\n\0")
        framer.line()
        assert framer.take(5) is None
        framer.feed(b"b\n")
        assert framer.take(5) == b"a\r\n\0b"
        assert framer.line() == b"\n"

    def test_of_nothing_is_there_at_once(self) -> None:
        assert Framer(LIMIT).take(0) == b""

    def test_leaves_room_for_a_line_end(self) -> None:
        framer = Framer(LIMIT)
        framer.feed(b"x" * LIMIT)
        with pytest.raises(TooLong):
            framer.take(LIMIT)

    def test_of_more_than_fits_is_noticed_when_the_limit_is_reached(self) -> None:
        framer = Framer(LIMIT)
        framer.feed(b"x" * (LIMIT - 1))
        assert framer.take(2**62) is None
        framer.feed(b"x")
        with pytest.raises(TooLong):
            framer.take(2**62)


def test_rest_is_what_was_not_handed_out() -> None:
    framer = Framer(LIMIT)
    framer.feed(b"login\n* some\nmore")
    framer.line()
    assert framer.rest() == b"* some\nmore"
    assert framer.rest() == b""
    framer.feed(b"x" * (LIMIT - 1) + b"\n")
    assert framer.line() is not None


def test_drop_throws_away_what_is_there() -> None:
    framer = Framer(LIMIT)
    framer.feed(b"ab")
    assert framer.line() is None
    assert framer.drop(5) == 2
    framer.feed(b"c\ndef\nx\n")
    assert framer.drop(3) == 3
    assert framer.line() == b"ef\n"
    assert framer.drop(0) == 0
    assert framer.line() == b"x\n"


def test_clear_forgets_the_search_too() -> None:
    framer = Framer(LIMIT)
    framer.feed(b"abc")
    framer.line()
    framer.clear()
    framer.feed(b"\nx\n")
    assert framer.line() == b"\n"


@given(
    data=st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"xxxxxx"]), max_size=40).map(b"".join),
    sizes=st.lists(st.integers(0, 8), min_size=60, max_size=60),
    cuts=st.lists(st.integers(0, 120), max_size=10),
)
def test_cuts_do_not_matter(data: bytes, sizes: list[int], cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        framer = Framer(LIMIT)
        out: list[bytes] = []
        pending = 0  # the size of a run that is waited for
        turn = iter(sizes)
        for piece in pieces:
            framer.feed(piece)
            try:
                while True:
                    found = framer.take(pending) if pending else framer.line()
                    if found is None:
                        break
                    out.append(found)
                    pending = 0 if pending else next(turn, 0)
                    if not pending:
                        framer.done()
            except TooLong:
                return out, True
            assert len(framer) < LIMIT
        return out, False

    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert outcome(pieces) == outcome([data])
    assert outcome([data[i : i + 1] for i in range(len(data))]) == outcome([data])


class Counted(bytearray):
    """A buffer that counts the bytes its searches look at."""

    looked_at = 0

    def find(self, *arguments: object) -> int:
        start = arguments[1]
        assert isinstance(start, int)
        end = super().find(b"\n", start)
        Counted.looked_at += (len(self) if end < 0 else end + 1) - start
        return end


def test_a_dripping_line_is_searched_once() -> None:
    limit = 20_000
    framer = Framer(limit)
    framer._data = Counted()
    Counted.looked_at = 0
    for _ in range(limit - 1):
        framer.feed(b"x")
        assert framer.line() is None
    framer.feed(b"\n")
    assert framer.line() is not None
    assert Counted.looked_at <= 2 * limit
