"""What a SASL mechanism is here: a generator that yields challenges, is sent responses and returns credentials."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import ClientError


class SaslError(ClientError):
    """A response does not have the form the mechanism asks for."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a client claims to be, and its proof. The proof never shows in ``repr``.

    ``method`` is the word the authentication service is told (``plain``, ``cram-md5``, ``external``).
    ``salt`` is the challenge that ``secret`` answers, for mechanisms that have one.
    ``cleartext``: ``secret`` is the password itself, so it can be used to log in upstream.
    """

    method: str
    user: bytes
    secret: bytes = field(repr=False)
    salt: bytes = b""
    cleartext: bool = True


Exchange: TypeAlias = Generator[bytes, bytes, Credentials]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism, as all protocols see it.

    ``exchange`` takes a challenge maker (called at most once, for mechanisms that need one).
    ``word`` is how the ``*_auth`` directives name it; ``rank`` orders mechanisms where they are advertised.
    ``prompt`` is the first challenge, sent when there is no initial response.
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
