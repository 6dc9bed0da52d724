"""The contract of every mechanism, and the check of credentials."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import ClientError
from gatepost.log import Level
from gatepost.sasl import mechanisms
from gatepost.sasl.mechanism import Credentials, Mechanism, SaslError, breaks_lines, check

MAX_STEPS = 3  # no mechanism asks more often


class Challenges:
    """A maker of challenges that counts."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> bytes:
        self.made += 1
        return b"<%d.0@host>" % self.made


def run(mechanism: Mechanism, challenges: Challenges, messages: Iterator[bytes]) -> Credentials:
    """One whole exchange. Raises SaslError."""
    exchange = mechanism.exchange(challenges)
    challenge = next(exchange)
    for _ in range(MAX_STEPS):
        assert isinstance(challenge, bytes)
        try:
            challenge = exchange.send(next(messages))
        except StopIteration as end:
            credentials: Credentials = end.value
            return credentials
    raise AssertionError(f"{mechanism.name} asks without end")


def test_all_are_found_in_the_order_of_advertising() -> None:
    assert [mechanism.name for mechanism in mechanisms()] == ["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"]
    assert [mechanism.word for mechanism in mechanisms()] == ["plain", "login", "cram-md5", "external"]


def test_ranks_differ() -> None:
    assert len({mechanism.rank for mechanism in mechanisms()}) == len(mechanisms())


@pytest.mark.parametrize("mechanism", mechanisms(), ids=lambda mechanism: mechanism.name)
class TestContract:
    @given(messages=st.lists(st.binary(max_size=80), min_size=MAX_STEPS, max_size=MAX_STEPS))
    def test_any_responses_end_in_credentials_or_a_sasl_error(
        self, mechanism: Mechanism, messages: list[bytes]
    ) -> None:
        challenges = Challenges()
        outcome: Credentials | SaslError
        try:
            outcome = run(mechanism, challenges, iter(messages))
        except SaslError as error:
            outcome = error
        if isinstance(outcome, SaslError):
            assert outcome.level is Level.INFO
            assert str(outcome).endswith(f" in AUTH {mechanism.name} command")
        else:
            assert outcome.method in ("plain", "cram-md5", "external")
            assert outcome.salt == (b"<1.0@host>" if challenges.made else b"")
        assert challenges.made <= 1

    def test_errors_say_nothing_the_client_sent(self, mechanism: Mechanism) -> None:
        for messages in ([b"hunter2"] * MAX_STEPS, [b"\0hunter2"] * MAX_STEPS, [b"hunter2 x"] * MAX_STEPS):
            try:
                run(mechanism, Challenges(), iter(messages))
            except SaslError as error:
                assert "hunter2" not in str(error)  # noqa: PT017 - only some mechanisms refuse these

    def test_may_be_given_up_at_once(self, mechanism: Mechanism) -> None:
        exchange = mechanism.exchange(Challenges())
        next(exchange)
        exchange.close()

    def test_names_its_source(self, mechanism: Mechanism) -> None:
        assert mechanism.rfc


def test_a_sasl_error_is_the_clients() -> None:
    assert issubclass(SaslError, ClientError)


class TestCredentials:
    def test_the_secret_does_not_show(self) -> None:
        assert "hunter2" not in repr(Credentials("plain", b"joe", b"hunter2", cleartext=True))

    def test_good_ones_pass(self) -> None:
        credentials = Credentials("plain", b"j\xf6e", b"pa ss\x01\"'\t", cleartext=True)
        assert check(credentials, "LOGIN") is credentials

    @pytest.mark.parametrize("bad", [b"a\rb", b"a\nb", b"a\0b", b"\r\n"])
    def test_what_could_end_a_line_is_refused(self, bad: bytes) -> None:
        for user, secret in ((bad, b""), (b"", bad)):
            with pytest.raises(SaslError, match=r"^client sent CR, LF or NUL in credentials in LOGIN command$"):
                check(Credentials("plain", user, secret, cleartext=True), "LOGIN")

    def test_a_challenge_is_ours_and_not_looked_at(self) -> None:
        check(Credentials("cram-md5", b"joe", b"x" * 32, cleartext=False, salt=b"\n"), "AUTH CRAM-MD5")


@given(st.binary())
def test_what_breaks_lines(text: bytes) -> None:
    assert breaks_lines(text) is any(byte in text for byte in b"\r\n\0")
