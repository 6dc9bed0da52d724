"""The error tree: what each class says, and how severe it is."""

import pytest

from gatepost.errors import (
    EVERYDAY,
    AuthError,
    ClientError,
    ConfigError,
    GatepostError,
    SessionError,
    TlsError,
    UpstreamError,
    Where,
)
from gatepost.log import Level


def test_a_place_reads_as_operators_know_it() -> None:
    assert str(Where("mail.conf", 14)) == "mail.conf:14"


def test_a_configuration_error_names_its_place_if_it_has_one() -> None:
    error = ConfigError('unknown directive "timout"', Where("mail.conf", 14))
    assert str(error) == 'unknown directive "timout" in mail.conf:14'
    assert error.message == 'unknown directive "timout"'
    assert str(ConfigError("no certificate")) == "no certificate"


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        (SessionError, Level.ERROR),
        (ClientError, Level.INFO),
        (AuthError, Level.ERROR),
        (UpstreamError, Level.ERROR),
        (TlsError, Level.ERROR),
    ],
)
def test_each_error_of_a_session_has_a_level_that_can_be_changed(kind: type[SessionError], level: Level) -> None:
    assert kind("went wrong").level is level
    changed = kind("went wrong", level=Level.CRIT)
    assert changed.level is Level.CRIT
    assert str(changed) == "went wrong"
    assert isinstance(changed, GatepostError)


def test_an_error_of_the_tls_library_keeps_its_reason() -> None:
    assert TlsError("SSL_do_handshake() failed", reason="no shared cipher").reason == "no shared cipher"
    assert TlsError("SSL_do_handshake() failed").reason == ""


def test_configuration_is_not_the_business_of_a_session() -> None:
    assert not issubclass(ConfigError, SessionError)


def test_what_comes_from_the_network_is_everyday_and_our_own_trouble_is_not() -> None:
    from errno import EBADF, ECONNRESET, EMFILE, EPIPE

    assert {ECONNRESET, EPIPE} <= EVERYDAY
    assert not {EBADF, EMFILE} & EVERYDAY
