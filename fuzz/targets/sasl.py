"""SASL: every mechanism, with responses in what may be base64."""

import base64
import binascii
from collections.abc import Iterator

from fuzz.target import Choices, Target
from gatepost.protocol import dialogue
from gatepost.sasl import mechanisms
from gatepost.sasl.mechanism import Credentials, SaslError

CHALLENGE = b"<1.2@mail.example>"
MAX_RESPONSES = 2  # of any mechanism


def run(data: bytes) -> None:
    choices = Choices(data)
    known = mechanisms()
    mechanism = known[choices.number(len(known))]
    encoded = choices.flag()
    exchange = dialogue.SaslDialogue(mechanism, lambda: CHALLENGE)
    base64.b64decode(exchange.prompt(), validate=True)
    for count, response in enumerate(choices.rest().split(b"\n"), 1):
        word = base64.b64encode(response) if encoded else response
        check_decoding(word)
        try:
            outcome = exchange.respond(word)
        except SaslError as error:
            # Names the mechanism, and nothing that the client sent.
            assert mechanism.name in str(error)
            assert len(response) < 12 or response.decode("latin-1") not in str(error)
            return
        if isinstance(outcome, Credentials):
            check_credentials(outcome, mechanism.name, response if encoded else dialogue.decode_base64(word) or b"")
            return
        base64.b64decode(outcome, validate=True)
        assert count < MAX_RESPONSES


def check_decoding(text: bytes) -> None:
    """Whatever is taken for base64 decodes to what a strict decoder makes of the same digits."""
    decoded = dialogue.decode_base64(text)
    digits = text.partition(b"=")[0]
    try:
        strict: bytes | None = base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        strict = None
    assert decoded == strict


def check_credentials(found: Credentials, name: str, last: bytes) -> None:
    assert not set(found.user + found.secret) & set(b"\r\n\0")
    assert found.user in last or name == "LOGIN"
    assert found.secret in last
    assert found.cleartext == (name in ("PLAIN", "LOGIN"))
    assert bool(found.salt) == (name == "CRAM-MD5")
    if len(found.secret) > 8:
        assert ascii(found.secret)[2:-1] not in repr(found).replace(repr(found.user), "")


def seeds() -> Iterator[bytes]:
    for number in range(len(mechanisms())):
        for message in (b"\0joe\0secret", b"joe\nsecret", b"joe " + b"0" * 32, b"", b"\0joe\r\0x", b"joe\0"):
            yield bytes((number, 1)) + message
            yield bytes((number, 0)) + b"\n".join(map(base64.b64encode, message.split(b"\n")))
        for response in (b"*", b"=", b"AGpvZQBzZWNyZXQ", b"AGpv\r", b"====", b"a", b"YQ==YQ=="):
            yield bytes((number, 0)) + response


TARGET = Target(
    "sasl",
    run,
    words=(
        *(b"AGpvZQBzZWNyZXQ=", b"am9l", b"*", b"=", b"==", b"\n", b"\r", b"\0", b" "),
        *(b"\0joe\0secret", b"joe 0123456789abcdef0123456789abcdef", b"am9lIDAx"),
    ),
    seeds=seeds,
    max_bytes=512,
)
