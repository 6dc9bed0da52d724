"""EXTERNAL (RFC 4422 appendix A): the client's TLS certificate is the proof.

Nothing the client sends proves anything, so this works only where the operator enabled it; the authentication
service is given the certificate's facts and decides whether they allow the name.
"""

from collections.abc import Callable
from typing import Final

from .mechanism import Credentials, Exchange, Mechanism


def exchange(_challenge: Callable[[], bytes]) -> Exchange:
    """One message: the authorization identity, which may be empty.

    RFC 4422 has an empty challenge; nginx's, kept here, is the one of LOGIN, which clients ignore.
    """
    user = yield b"Username:"
    return Credentials("external", user, b"", cleartext=False)


MECHANISM: Final = Mechanism("EXTERNAL", rfc="RFC 4422 appendix A", exchange=exchange, rank=40)
