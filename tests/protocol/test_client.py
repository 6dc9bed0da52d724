"""The part of a client machine that no protocol changes, in a protocol of three words."""

from itertools import count

import pytest

from gatepost.protocol.client import BaseClient
from gatepost.protocol.events import AuthRefused, BackendRefused, Effect, TlsReady
from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.rules import ClientRules, CommonRules, usable
from gatepost.sasl import mechanisms
from gatepost.sasl.mechanism import Credentials
from tests.transcript import Mode, cases, play


class Toy(BaseClient[ClientRules]):
    """Speaks ``TLS``, ``LOGIN user password`` and ``AUTH mechanism [response]``."""

    __slots__ = ()

    def _obey(self, line: bytes) -> list[Effect]:
        self._input.done()
        words = line.split()
        if self._dialogue is not None:
            return self._respond(words[0])
        if words[0] == b"TLS":
            return self._starttls(b"go\r\n")
        if words[0] == b"LOGIN":
            if self._login_disabled():
                return self._refuse()
            return self._log_in(Credentials("plain", words[1], words[2], cleartext=True), "LOGIN")
        if words[0] == b"AUTH":
            return self._begin_sasl(words[1], words[2] if len(words) > 2 else None)
        raise InvalidCommand

    def _too_long_command(self) -> bytes:
        return b"TOY"

    def _invalid_reply(self) -> bytes:
        return b"what?\r\n"

    def _refused_reply(self, event: AuthRefused) -> bytes:
        return b"no: " + event.text + b"\r\n"

    def _prompt(self, challenge: bytes) -> bytes:
        return b"> " + challenge + b"\r\n"


def toy(starttls: str = "only", max_errors: int = 3) -> Toy:
    numbers = count(1)
    common = CommonRules(
        starttls=starttls,
        max_errors=max_errors,
        proxy_buffer=4096,
        challenge=lambda: b"<%d.2@host>" % next(numbers),
    )
    rules = ClientRules(common=common, buffer_bytes=40, reply_bytes=4096, mechanisms=usable(mechanisms()))
    return Toy(rules, tls=False)


TRANSCRIPTS = {
    "what came in the clear behind STARTTLS is dropped": """
        C: TLS
        C: LOGIN evil pw
        S: go
        >> StartTls()
        << TlsReady()
        C: TLS
        S: what?
        C: LOGIN joe pw
        >> Authenticate(plain(b"joe", b"pw"))
    """,
    "no login before TLS; what is refused is not counted": """
        C: LOGIN joe pw
        S: what?
        C: LOGIN joe pw
        S: what?
        C: LOGIN joe pw
        S: what?
        C: LOGIN joe pw
        S: what?
        C: TLS
        S: go
        >> StartTls()
    """,
    "what is invalid is counted, before and after TLS": """
        C: X
        S: what?
        C: TLS
        S: go
        >> StartTls()
        << TlsReady()
        C: X
        S: what?
        C: X
        C: X
        >> Note(INFO, "client sent too many invalid commands")
        S: what?
        >> Close()
        C: X
    """,
    "too long": """
        C: X
        S: what?
        C: {50*x}
        >> Note(INFO, 'client sent too long command "TOY..."')
        S: what?
        >> Close()
        C: X
    """,
    "input waits for the end of a login": r"""
        C: AUTH PLAIN AGpvZQBwdw==
        C: AUTH EXTERNAL
        >> Authenticate(plain(b"joe", b"pw"))
        << AuthRefused(b"later", False)
        S: no: later
        S: > VXNlcm5hbWU6
        C: am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
        << AuthRefused(b"never", True)
        S: no: never
        >> Close()
    """,
    "a backend's refusals have an end": """
        C: AUTH PLAIN AGpvZQBwdw==
        >> Authenticate(plain(b"joe", b"pw"))
        << BackendRefused(b"one\\r\\n")
        S: one
        C: AUTH PLAIN AGpvZQBwdw==
        >> Authenticate(plain(b"joe", b"pw"))
        << BackendRefused(b"two\\r\\n")
        S: two
        C: AUTH PLAIN AGpvZQBwdw==
        >> Authenticate(plain(b"joe", b"pw"))
        << BackendRefused(b"three\\r\\n")
        >> Note(INFO, "client was refused too many logins")
        S: three
        >> Close()
    """,
    "exchanges": r"""
        C: AUTH SCRAM
        S: what?
        C: AUTH cram-md5 eA==
        S: what?
        C: AUTH cram-md5
        S: > PDEuMkBob3N0Pg==
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH CRAM-MD5 command")
        S: what?
        C: AUTH LOGIN am9l
        S: > UGFzc3dvcmQ6
        C: cA0K
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH LOGIN command")
        S: what?
        C: TLS
        S: go
        >> StartTls()
        << TlsReady()
        C: LOGIN joe a\x00b
        >> Note(INFO, "client sent CR, LF or NUL in credentials in LOGIN command")
        S: what?
    """,
}


@pytest.mark.parametrize(("transcript", "mode"), cases(TRANSCRIPTS))
def test_transcript(transcript: str, mode: Mode) -> None:
    play(transcript, toy(), mode)


def test_what_came_behind_a_login_is_for_the_relay() -> None:
    client = toy("off")
    client.receive(b"LOGIN joe pw\r\nmore\r\n")
    client.receive(b"and more")
    assert client.rest() == b"more\r\nand more"
    assert client.rest() == b""


@pytest.mark.parametrize("event", [TlsReady(), AuthRefused(b"", final=True), BackendRefused(b"")])
def test_an_answer_to_no_question_is_a_bug(event: TlsReady | AuthRefused | BackendRefused) -> None:
    with pytest.raises(AssertionError):
        toy().tell(event)
