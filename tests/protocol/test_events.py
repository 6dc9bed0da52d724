"""Events and effects: values that can be compared, printed and logged without harm."""

from gatepost.protocol.events import Account, Authenticate, Close, Declined, Send
from gatepost.sasl.mechanism import Credentials


def test_no_secret_shows() -> None:
    effect = Authenticate(Credentials("plain", b"joe", b"hunter2", cleartext=True))
    assert "hunter2" not in repr(effect)
    assert "hunter2" not in repr(Account(b"joe", b"hunter2", proven=True))


def test_they_are_values() -> None:
    assert Send(b"x") == Send(b"x")
    assert Send(b"x") != Send(b"x", "sending")
    assert Declined(b"x\r\n", b"x", credentials=True) != Declined(b"x\r\n", b"x", credentials=False)
    assert len({Close(), Close()}) == 1
