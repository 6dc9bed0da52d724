"""Answers of the authentication service: HTTP, and what it means for the login."""

import socket
from collections.abc import Iterator, Sequence

from fuzz.target import Choices, Target, cuttings, is_one_line, padded
from gatepost.auth.message import MAX_WAIT_SECONDS, Accepted, Postponed, Refused, Verdict, verdict
from gatepost.auth.response import MAX_HEAD_BYTES, Answer, Fate, Reader
from gatepost.errors import AuthError
from gatepost.sasl.mechanism import Credentials
from tests.auth.test_response import KEPT, OK

MAX_PIECES = 4096  # byte by byte is for inputs without padding
CLAIMS = (
    Credentials("plain", b"user", b"secret", cleartext=True),
    Credentials("cram-md5", b"user", b"0" * 32, cleartext=False, salt=b"<1.2@h>"),
)


def run(data: bytes) -> None:
    choices = Choices(data)
    credentials = CLAIMS[choices.number(2)]
    needs_password = choices.flag()
    seed = choices.number(256)
    stream = padded(choices.rest(), MAX_HEAD_BYTES - 40)
    outcomes = [read(pieces) for pieces in cuttings(stream, seed) if len(pieces) <= MAX_PIECES]
    answer, fate = outcomes[0]
    assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
    if answer is None:
        return
    assert 0 <= answer.status <= 999
    try:
        found = verdict(answer, credentials, "127.0.0.1:9", needs_password=needs_password)
    except AuthError as error:
        assert is_one_line(str(error))
        assert "secret" not in str(error)
        return
    check(found, needs_password)
    assert fate is not None


def read(pieces: Sequence[bytes]) -> tuple[Answer | None, Fate | None]:
    """As a connection reads: what comes behind a complete answer spoils it. No fate: an error."""
    reader = Reader("127.0.0.1:9")
    fate = Fate.OPEN
    for piece in pieces:
        if fate is not Fate.OPEN:
            return reader.answer, Fate.SPENT
        try:
            fate = reader.receive(piece)
        except AuthError as error:
            assert is_one_line(str(error))
            assert reader.answer is None
            return None, None
        assert reader.answer is not None or len(reader._buffer) <= MAX_HEAD_BYTES
        assert reader.answer is not None or fate is Fate.OPEN
    return reader.answer, fate


def check(found: Verdict, needs_password: bool) -> None:
    if isinstance(found, Accepted):
        account, address = found.account, found.address
        assert not set(account.user + (account.password or b"")) & set(b"\r\n\0")
        assert account.password is not None or not needs_password
        assert is_one_line(found.shown)
        if address.family is socket.AF_UNIX:
            assert address.host.startswith("/")
            assert len(address.host.encode("utf-8", "surrogateescape")) <= 107
        else:
            socket.inet_pton(address.family, address.host)  # raises OSError for what is no address
            assert 0 < address.port <= 65535
    elif isinstance(found, Refused):
        assert 0 <= found.wait_seconds <= MAX_WAIT_SECONDS
        assert not set(found.text + found.code + (found.user or b"")) & set(b"\r\n")
    else:
        assert isinstance(found, Postponed)
        assert 0 <= found.seconds <= MAX_WAIT_SECONDS
        assert not set(found.user or b"") & set(b"\r\n")


def seeds() -> Iterator[bytes]:
    answers = (
        KEPT + b"Content-Length: 0\r\n\r\n",
        KEPT + b"Content-Length: 5\r\n\r\nhello",
        KEPT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        KEPT + b"Connection: close\r\n\r\n",
        OK + b"Auth-User: other\r\nAuth-Pass: given\r\n\r\n",
        OK.replace(b"\r", b"") + b"\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + KEPT + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nAuth-Status: no such user\r\nAuth-Wait: 3\r\nAuth-Error-Code: 535 5.7.8\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 99999999999999999999\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\n",
        b"Auth-Status: OK\r\nAuth-Server: [::1]\r\nAuth-Port: 000143\r\n\r\n",
        b"Auth-Status: OK\r\nAuth-Server: unix:/run/x\r\n\r\n",
        b"Auth-Status: OK\r\nAuth-Server: 010..1.2\r\nAuth-Port: 65536\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ~x~\r\n" + OK + b"\r\n",
    )
    for answer in answers:
        yield bytes((0, 1, 7)) + answer
        yield bytes((1, 0, 7)) + answer


TARGET = Target(
    "auth_answer",
    run,
    words=(
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 ", b"HTTP/", b"Auth-Status: OK\r\n", b"Auth-Status: WAIT\r\n"),
        *(b"Auth-Status:", b"Auth-Server: 10.0.0.5\r\n", b"Auth-Server: ", b"Auth-Port: 143\r\n", b"Auth-Port: "),
        *(b"Auth-User: ", b"Auth-Pass: ", b"Auth-Wait: 3\r\n", b"Auth-Error-Code: ", b"unix:/run/x", b"[::1]"),
        *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Connection: close\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"\0"),
        *(b": ", b" ", b"~x~", b"\xb2"),
    ),
    seeds=seeds,
)
