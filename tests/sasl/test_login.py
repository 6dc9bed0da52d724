"""LOGIN, the mechanism of old clients."""

import pytest

from gatepost.sasl.login import MECHANISM
from gatepost.sasl.mechanism import Credentials


@pytest.mark.parametrize(("user", "password"), [(b"joe", b"pa ss"), (b"", b""), (b"j\0e", b"\xff")])
def test_asks_for_name_and_password(user: bytes, password: bytes) -> None:
    exchange = MECHANISM.exchange(lambda: b"")
    assert next(exchange) == b"Username:"
    assert exchange.send(user) == b"Password:"
    with pytest.raises(StopIteration) as end:
        exchange.send(password)
    assert end.value.value == Credentials("plain", user, password, cleartext=True)


def test_works_unlisted_and_with_an_initial_response() -> None:
    assert MECHANISM.always
    assert MECHANISM.initial_response
