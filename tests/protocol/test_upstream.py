"""The part of an upstream machine that no protocol changes, with one line as the whole login."""

import pytest

from gatepost.protocol.events import Declined, Effect, Failed, LoggedIn, TlsReady
from gatepost.protocol.upstream import BaseUpstream, Wait, shown


class Toy(BaseUpstream):
    """Logged in by ``yes``; any other line declines."""

    __slots__ = ()

    def _read(self, effects: list[Effect]) -> bool:
        line = self._input.line()
        if line is None:
            return False
        self._reply += line
        if line == b"yes\r\n":
            self._wait = Wait.RELAY
            effects.append(LoggedIn(line))
        elif line != b"perhaps\r\n":
            self._give_up()
            effects.append(Declined(line, shown(line), credentials=True))
        return True


def test_what_comes_behind_the_login_is_for_the_relay() -> None:
    upstream = Toy(20)
    assert upstream.receive(b"yes\r\nno\r\n") == [LoggedIn(b"yes\r\n")]
    assert upstream.receive(b"more") == []
    assert upstream.rest() == b"no\r\nmore"
    assert upstream.rest() == b""


def test_nothing_is_kept_of_one_that_declined() -> None:
    upstream = Toy(20)
    assert upstream.receive(b"no\r\nyes\r\n") == [Declined(b"no\r\n", b"no", credentials=True)]
    assert upstream.receive(b"yes\r\n") == []
    assert upstream.rest() == b""


def test_a_reply_has_a_limit_for_all_its_lines() -> None:
    upstream = Toy(20)
    (effect,) = upstream.receive(b"perhaps\r\n" * 3)
    assert effect == Failed(r'upstream sent too long response line: "' + r"perhaps\x0D\x0A" * 2 + 'pe"')
    assert upstream.receive(b"yes\r\n") == []


def test_it_is_told_nothing() -> None:
    assert Toy(20).tell(TlsReady()) == []


@pytest.mark.parametrize(
    ("line", "text"), [(b"a\r\n", b"a"), (b"a\n", b"a"), (b"a\r\r\n", b"a\r"), (b"\r\n", b""), (b"a", b"a")]
)
def test_lines_are_shown_without_their_ends(line: bytes, text: bytes) -> None:
    assert shown(line) == text
