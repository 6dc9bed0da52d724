"""EXTERNAL (RFC 4422 appendix A)."""

import pytest

from gatepost.sasl.external import MECHANISM
from gatepost.sasl.mechanism import Credentials


@pytest.mark.parametrize("user", [b"joe", b"", b"a b"])
def test_the_whole_message_is_the_name(user: bytes) -> None:
    exchange = MECHANISM.exchange(lambda: b"")
    assert next(exchange) == b"Username:"
    with pytest.raises(StopIteration) as end:
        exchange.send(user)
    assert end.value.value == Credentials("external", user, b"", cleartext=False)


def test_needs_enabling() -> None:
    assert not MECHANISM.always
    assert MECHANISM.initial_response
