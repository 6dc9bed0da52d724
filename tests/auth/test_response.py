"""Answers as services really send them: whole, in pieces, sloppy, hostile."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.auth.response import MAX_BODY_BYTES, MAX_HEAD_BYTES, Answer, Fate, Reader
from gatepost.errors import AuthError

OK = b"Auth-Status: OK\r\nAuth-Server: 10.0.0.5\r\nAuth-Port: 143\r\n"
KEPT = b"HTTP/1.1 200 OK\r\n" + OK


def read(data: bytes) -> tuple[Answer, Fate]:
    reader = Reader("A")
    fate = reader.receive(data)
    assert reader.answer is not None
    return reader.answer, fate


def mistake(data: bytes) -> str:
    with pytest.raises(AuthError) as caught:
        Reader("A").receive(data)
    return str(caught.value)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\n" + OK + b"\r\n",
        b"HTTP/1.1 500 Internal Server Error\r\n" + OK + b"\r\n",
        b"HTTP/1.0 200 OK\n" + OK.replace(b"\r", b"") + b"\n",
        b"HTTP/ what ever\r\n" + OK + b"\r\n",
        b"HTTP/1.1 20000 OK\r\n" + OK + b"\r\n",
        OK + b"\r\n",
        OK.replace(b"\r", b"") + b"\n",
        OK.upper().replace(b": OK", b": OK") + b"\n",
        OK.replace(b": ", b":") + b"\r\n",
        OK.replace(b": ", b":    ").replace(b"\r\n", b"   \r\n") + b"\r\n",
        b"X-Whatever\r\nServer: x y\r\n" + OK + b"\r\n",
        b"Auth-Server: 1.1.1.1\r\n" + OK + b"\r\n",
    ],
)
def test_heads_that_say_the_same(head: bytes) -> None:
    answer, _ = read(head)
    assert answer.verdicts == [b"OK"]
    assert answer.fields == {b"auth-server": b"10.0.0.5", b"auth-port": b"143"}


def test_values_keep_what_is_inside() -> None:
    answer, _ = read(b"Auth-Status:  a  b \xff\x01\t \r\nAuth-Status: OK\r\nAuth-User:\r\nAuth-Pass\r\n\r\n")
    assert answer.verdicts == [b"a  b \xff\x01\t", b"OK"]
    assert answer.fields == {b"auth-user": b"", b"auth-pass": b""}


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"HTTP/1.1 404 Not Found", 404), (b"HTTP/1.1 200", 200), (b"HTTP/1.1", 0), (b"HTTP/1.1 2000", 0)],
)
def test_the_status_is_only_shown(line: bytes, status: int) -> None:
    answer, _ = read(line + b"\r\n\r\n")
    assert answer.status == status


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\rX\r\n", b"HTTP/1.1 200 O\rK", b"HTTP/\r\r\n"])
def test_a_status_line_with_a_bare_cr_is_invalid(data: bytes) -> None:
    assert mistake(data) == "auth http server A sent invalid response"


@pytest.mark.parametrize(
    "line",
    [
        b"Auth_Status: OK\r\n",
        b"Auth-Status : OK\r\n",
        b" Auth-Status: OK\r\n",
        b"Auth-Status: OK\rX\r\n",
        b"Auth-Status: O\rK",
        b"-x: y\r\n",
        b": y\r\n",
        b"http/1.1 200 OK\r\n",
        b"\x16\x03\x01",
        b"\0",
        b"Auth-Status: OK\r\n folded\r\n",
        b"\r\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\n", b"Server: x\n"])
def test_an_invalid_line_fails_the_answer_at_once(before: bytes, line: bytes) -> None:
    assert mistake(before + line) == "auth http server A sent invalid header in response"


def test_the_head_is_bounded() -> None:
    filler = b"X: " + b"y" * (MAX_HEAD_BYTES - 3 - 4) + b"\r\n\r\n"
    answer, _ = read(filler)
    assert answer.fields == {}
    assert mistake(b"Y" + filler) == "auth http server A sent too long header"
    assert mistake(b"HTTP/" + b"y" * MAX_HEAD_BYTES) == "auth http server A sent too long header"
    assert mistake(b"X:" + b"y" * MAX_HEAD_BYTES) == "auth http server A sent too long header"
    assert mistake(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000) == "auth http server A sent too long header"


def test_there_is_no_answer_in_a_head_that_is_too_long() -> None:
    # It was complete, so that whoever asks for ``answer`` first would have taken it.
    reader = Reader("A")
    with pytest.raises(AuthError, match="sent too long header"):
        reader.receive(b"X: " + b"y" * MAX_HEAD_BYTES + b"\r\n" + OK + b"\r\n")
    assert reader.answer is None


def test_a_body_is_not_part_of_the_head() -> None:
    _, fate = read(KEPT + b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES + b"x" * MAX_BODY_BYTES)
    assert fate is Fate.FREE


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_answers_are_passed_over(status: int) -> None:
    interim = b"HTTP/1.1 %d x\r\nAuth-Status: early\r\nConnection: close\r\n\r\n" % status
    answer, fate = read(interim + interim + KEPT + b"Content-Length: 0\r\n\r\n")
    assert answer.verdicts == [b"OK"]
    assert fate is Fate.FREE


@pytest.mark.parametrize(
    ("rest", "fate"),
    [
        (b"Content-Length: 0\r\n\r\n", Fate.FREE),
        (b"content-length:  5 \r\n\r\nhello", Fate.FREE),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Fate.FREE),
        (b"Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", Fate.FREE),
        (b"Content-Length: 5\r\n\r\nhell", Fate.OPEN),
        (b"Content-Length: 5\r\n\r\nhello!", Fate.SPENT),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Fate.SPENT),
        (b"Content-Length: 5, 5\r\n\r\nhello", Fate.SPENT),
        (b"Content-Length: -5\r\n\r\nhello", Fate.SPENT),
        (b"Content-Length: 65537\r\n\r\n", Fate.SPENT),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", Fate.SPENT),
        (b"Content-Length: 0\r\nConnection: close\r\n\r\n", Fate.SPENT),
        (b"Content-Length: 0\r\nConnection: TE, Close\r\n\r\n", Fate.SPENT),
        (b"Content-Length: 0\r\n\r\n" + KEPT, Fate.SPENT),
        (b"\r\n", Fate.SPENT),
        (b"\r\nhello", Fate.SPENT),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fate.FREE),
        (b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", Fate.FREE),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", Fate.OPEN),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", Fate.SPENT),  # llhttp passes over empty lines
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n\r", Fate.SPENT),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\n", Fate.SPENT),
        (b"Transfer-Encoding: chunked\r\n\r\n", Fate.OPEN),
        (b"Transfer-Encoding: chunked\r\n\r\nhello", Fate.SPENT),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + KEPT, Fate.SPENT),
        (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % MAX_BODY_BYTES + b"x" * MAX_BODY_BYTES, Fate.SPENT),
        (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Fate.SPENT),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fate.SPENT),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Fate.SPENT),
    ],
)
def test_what_becomes_of_the_connection(rest: bytes, fate: Fate) -> None:
    answer, found = read(KEPT + rest)
    assert answer.verdicts == [b"OK"]
    assert found is fate


@pytest.mark.parametrize(
    ("line", "fate"),
    [
        (b"HTTP/1.1 204 No Content\r\n", Fate.FREE),
        (b"HTTP/1.1 304 Not Modified\r\n", Fate.FREE),
        (b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n", Fate.SPENT),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n", Fate.SPENT),
        (b"HTTP/1.1\r\nContent-Length: 0\r\n", Fate.SPENT),
        (b"Content-Length: 0\r\n", Fate.SPENT),
        (b"HTTP/1.1 100 Continue\r\n\r\nContent-Length: 0\r\n", Fate.SPENT),
    ],
)
def test_what_the_status_line_says_about_the_connection(line: bytes, fate: Fate) -> None:
    assert read(line + OK + b"\r\n")[1] is fate


@pytest.mark.parametrize(
    "data",
    [
        KEPT + b"Content-Length: 5\r\n\r\nhello",
        KEPT.replace(b"\r", b"") + b"Transfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + KEPT + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_cuts_change_nothing(data: bytes) -> None:
    whole, _ = read(data)
    reader = Reader("A")
    assert not reader.touched
    fates = [reader.receive(data[at : at + 1]) for at in range(len(data))]
    assert reader.touched
    assert reader.answer == whole
    assert set(fates[:-1]) == {Fate.OPEN}
    assert fates[-1] is Fate.FREE


@pytest.mark.parametrize(
    "begin", [b"", b"H", b"HTTP", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r", b"Auth-Stat", b"A: b\r"]
)
def test_a_begun_head_is_no_answer_yet(begin: bytes) -> None:
    reader = Reader("A")
    assert reader.receive(begin) is Fate.OPEN
    assert reader.answer is None


def test_a_password_does_not_show() -> None:
    answer, _ = read(b"Auth-Pass: hush\r\nAuth-Status: hush\r\n\r\n")
    assert "hush" not in repr(answer)


CHUNKED = b"Transfer-Encoding: chunked"
LINES = st.sampled_from(
    (b"HTTP/1.1 200 OK|HTTP/1.0 99|Auth-Status: OK|Auth-Wait: 1|Content-Length: 3|X||abc|0| x|" + CHUNKED).split(
        b"|"
    )
)
STREAMS = st.one_of(
    st.binary(max_size=200),
    st.lists(st.tuples(LINES, st.sampled_from([b"\r\n", b"\n", b"\r", b""]))).map(
        lambda lines: b"".join(line + end for line, end in lines)
    ),
)


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    reader = Reader("A")
    try:
        for piece in pieces:
            if reader.receive(piece) is Fate.SPENT:
                return ("spent", reader.answer)
    except AuthError as error:
        return (str(error),)
    return ("read", reader.answer)


@given(STREAMS, st.lists(st.integers(0, 200), max_size=5))
def test_arbitrary_bytes_in_arbitrary_cuts(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    assert outcome(pieces) == outcome([data])
