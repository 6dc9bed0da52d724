"""SASL in base64, as all mail protocols carry it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.dialogue import SaslDialogue, decode_base64
from gatepost.sasl import cram_md5, external, login, plain
from gatepost.sasl.mechanism import Credentials, Mechanism, SaslError


def dialogue(mechanism: Mechanism) -> SaslDialogue:
    return SaslDialogue(mechanism, lambda: b"<1.2@host>")


class TestBase64:
    @given(st.binary())
    def test_round_trip_with_and_without_padding(self, data: bytes) -> None:
        text = base64.b64encode(data)
        assert decode_base64(text) == data
        assert decode_base64(text.rstrip(b"=")) == data

    @pytest.mark.parametrize(
        ("text", "data"),
        [
            (b"", b""),
            (b"=", b""),
            (b"====", b""),
            (b"=*not looked at*", b""),
            (b"YQ=bogus", b"a"),
            (b"YR", b"a"),  # leftover bits
            (b"+/+/", b"\xfb\xff\xbf"),
        ],
    )
    def test_as_lenient_as_nginx(self, text: bytes, data: bytes) -> None:
        assert decode_base64(text) == data

    @pytest.mark.parametrize(
        "text", [b"*", b"Y", b"YWJjY", b"YW\0=", b"YW J", b"YWJj\r", b"-_-_", b"YW\xff=", b"Y==="]
    )
    def test_not_base64(self, text: bytes) -> None:
        assert decode_base64(text) is None

    @given(st.binary(max_size=40))
    def test_never_raises(self, text: bytes) -> None:
        decode_base64(text)


class TestDialogue:
    @pytest.mark.parametrize(
        ("mechanism", "prompt"),
        [
            (plain.MECHANISM, b""),
            (login.MECHANISM, b"VXNlcm5hbWU6"),
            (external.MECHANISM, b"VXNlcm5hbWU6"),
            (cram_md5.MECHANISM, base64.b64encode(b"<1.2@host>")),
        ],
        ids=lambda value: value.name if isinstance(value, Mechanism) else "",
    )
    def test_prompts(self, mechanism: Mechanism, prompt: bytes) -> None:
        assert dialogue(mechanism).prompt() == prompt

    def test_a_long_challenge_is_not_broken(self) -> None:
        long = SaslDialogue(cram_md5.MECHANISM, lambda: b"<" + b"x" * 300 + b">")
        assert decode_base64(long.prompt()) == b"<" + b"x" * 300 + b">"

    def test_several_steps(self) -> None:
        talk = dialogue(login.MECHANISM)
        assert talk.respond(b"am9l") == b"UGFzc3dvcmQ6"
        assert talk.respond(b"") == Credentials("plain", b"joe", b"", cleartext=True)

    @pytest.mark.parametrize(
        "mechanism", [plain.MECHANISM, login.MECHANISM, cram_md5.MECHANISM, external.MECHANISM]
    )
    def test_bad_base64(self, mechanism: Mechanism) -> None:
        with pytest.raises(
            SaslError, match=f"^client sent invalid base64 encoding in AUTH {mechanism.name} command$"
        ):
            dialogue(mechanism).respond(b"*")

    def test_a_bad_response(self) -> None:
        with pytest.raises(SaslError, match=r"^client sent invalid login in AUTH PLAIN command$"):
            dialogue(plain.MECHANISM).respond(b"")

    @pytest.mark.parametrize("message", [b"\0j\0p\0", b"\0j\r\nDELE 1\0p", b"\0j\0p\n"])
    def test_credentials_that_could_end_a_line(self, message: bytes) -> None:
        with pytest.raises(SaslError, match=r"^client sent CR, LF or NUL in credentials in AUTH PLAIN command$"):
            dialogue(plain.MECHANISM).respond(base64.b64encode(message))
