"""PLAIN (RFC 4616): user name and password in one message, protected by TLS alone."""

from collections.abc import Callable
from typing import Final

from .mechanism import Credentials, Exchange, Mechanism, SaslError


def exchange(_challenge: Callable[[], bytes]) -> Exchange:
    """One message: ``[authzid] NUL authcid NUL passwd`` (RFC 4616 section 2).

    The authorization identity is dropped, as nginx does: who may act for whom is for the authentication service
    to say. User name and password may be empty. A NUL in the password, which the RFC forbids, is left in it for
    ``check`` to refuse. Raises SaslError if a separator is missing.
    """
    message = yield b""
    authzid, separator, rest = message.partition(b"\0")
    del authzid
    if not separator or not rest:
        raise SaslError("client sent invalid login in AUTH PLAIN command")
    user, separator, password = rest.partition(b"\0")
    if not separator:
        raise SaslError("client sent invalid password in AUTH PLAIN command")
    return Credentials("plain", user, password, cleartext=True)


MECHANISM: Final = Mechanism("PLAIN", rfc="RFC 4616", exchange=exchange, rank=10, always=True)
