"""PLAIN (RFC 4616)."""

import pytest

from gatepost.sasl.mechanism import Credentials, Exchange, SaslError
from gatepost.sasl.plain import MECHANISM


def answer(message: bytes) -> Credentials:
    exchange: Exchange = MECHANISM.exchange(lambda: b"")
    assert next(exchange) == b""
    with pytest.raises(StopIteration) as end:
        exchange.send(message)
    credentials: Credentials = end.value.value
    return credentials


@pytest.mark.parametrize(
    ("message", "user", "password"),
    [
        (b"\0joe\0secret", b"joe", b"secret"),
        (b"admin\0joe\0secret", b"joe", b"secret"),
        (b"\0joe\0", b"joe", b""),
        (b"\0\0secret", b"", b"secret"),
        (b"\0\0", b"", b""),
        (b"\0joe\0with\0nul", b"joe", b"with\0nul"),
        (b"\0j\xc3\xb6e\0\xff", b"j\xc3\xb6e", b"\xff"),
    ],
)
def test_good(message: bytes, user: bytes, password: bytes) -> None:
    assert answer(message) == Credentials("plain", user, password, cleartext=True)


@pytest.mark.parametrize(
    ("message", "what"),
    [(b"", "login"), (b"joe", "login"), (b"joe\0", "login"), (b"\0", "login"), (b"\0joe", "password")],
)
def test_bad(message: bytes, what: str) -> None:
    exchange = MECHANISM.exchange(lambda: b"")
    next(exchange)
    with pytest.raises(SaslError, match=f"^client sent invalid {what} in AUTH PLAIN command$"):
        exchange.send(message)


def test_works_unlisted_and_with_an_initial_response() -> None:
    assert MECHANISM.always
    assert MECHANISM.initial_response
