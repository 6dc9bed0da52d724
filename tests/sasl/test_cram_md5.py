"""CRAM-MD5 (RFC 2195)."""

import hmac

import pytest

from gatepost.sasl.cram_md5 import MECHANISM
from gatepost.sasl.mechanism import Credentials, SaslError

CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"
DIGEST = b"b913a602c7eda7a495b4e6e7334d3890"  # RFC 2195 section 2: the password is tanstaaftanstaaf


def test_the_example_of_the_rfc() -> None:
    assert hmac.new(b"tanstaaftanstaaf", CHALLENGE, "md5").hexdigest().encode() == DIGEST
    exchange = MECHANISM.exchange(lambda: CHALLENGE)
    assert next(exchange) == CHALLENGE
    with pytest.raises(StopIteration) as end:
        exchange.send(b"tim " + DIGEST)
    assert end.value.value == Credentials("cram-md5", b"tim", DIGEST, cleartext=False, salt=CHALLENGE)


def test_an_empty_name_and_any_32_bytes_pass() -> None:
    exchange = MECHANISM.exchange(lambda: CHALLENGE)
    next(exchange)
    with pytest.raises(StopIteration) as end:
        exchange.send(b" " + b"x y " * 8)
    assert end.value.value == Credentials("cram-md5", b"", b"x y " * 8, cleartext=False, salt=CHALLENGE)


@pytest.mark.parametrize(
    "message", [b"", b"tim", DIGEST, b"tim " + DIGEST[:-1], b"tim " + DIGEST + b"0", b"t x " + DIGEST]
)
def test_bad(message: bytes) -> None:
    exchange = MECHANISM.exchange(lambda: CHALLENGE)
    next(exchange)
    with pytest.raises(SaslError, match=r"^client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command$"):
        exchange.send(message)


def test_each_exchange_has_its_own_challenge() -> None:
    challenges = iter([b"<1>", b"<2>"])
    assert next(MECHANISM.exchange(lambda: next(challenges))) == b"<1>"
    assert next(MECHANISM.exchange(lambda: next(challenges))) == b"<2>"


def test_needs_enabling_and_takes_no_initial_response() -> None:
    assert not MECHANISM.always
    assert not MECHANISM.initial_response
