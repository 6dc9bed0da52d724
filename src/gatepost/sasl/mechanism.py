"""What a SASL mechanism is here: a generator that yields challenges, is sent responses and returns credentials."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..errors import ClientError


class SaslError(ClientError):
    """A response does not have the form the mechanism asks for."""


@dataclass(slots=True, init=False)
class Credentials:
    """Who a client claims to be, and its proof. The proof never shows in ``repr``.

    ``method`` is the word the authentication service is told (``plain``, ``cram-md5``, ``external``).
    ``salt`` is the challenge that ``secret`` answers, for mechanisms that have one.
    ``cleartext``: ``secret`` is the password itself, so it can be used to log in upstream.
    """

    method: str
    user: bytes
    secret: bytes = field(repr=False)
    cleartext: bool
    salt: bytes

    def __init__(self, method: str, user: bytes, secret: bytes, cleartext: bool, salt: bytes = b"") -> None:
        self.method = method
        self.user = user
        self.secret = secret
        self.cleartext = cleartext
        self.salt = salt


Exchange: TypeAlias = Generator[bytes, bytes, Credentials]

_FORBIDDEN: Final = re.compile(rb"[\r\n\0]")


def breaks_lines(text: bytes) -> bool:
    """Whether ``text`` would be more, or less, than itself in a command line of a backend."""
    return _FORBIDDEN.search(text) is not None


def check(credentials: Credentials, command: str) -> Credentials:
    """``credentials``, if they can do no harm in a command line of a backend.

    CR and LF would start a command of the client's choice there, NUL ends a string in some servers and not in
    others. Every protocol calls this before it asks to authenticate, whatever way the credentials came.
    Raises SaslError, which names ``command`` (``AUTH PLAIN``) and nothing that the client sent.
    """
    if breaks_lines(credentials.user) or breaks_lines(credentials.secret):
        raise SaslError(f"client sent CR, LF or NUL in credentials in {command} command")
    return credentials


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism, as all protocols see it.

    ``exchange`` takes a challenge maker (called at most once, for mechanisms that need one). The first challenge
    it yields is dropped where the client sent an initial response. Base64, cancelling and size limits belong to
    the protocols. A SaslError it raises carries the whole log line.
    ``word`` is how the ``*_auth`` directives name it; ``rank`` orders mechanisms where they are advertised.
    """

    name: str
    rfc: str
    exchange: Callable[[Callable[[], bytes]], Exchange]
    rank: int
    always: bool = False  # usable even where the *_auth directive does not list it, as in nginx
    initial_response: bool = True  # whether the client may send the first response with the command

    @property
    def word(self) -> str:
        return self.name.lower()
