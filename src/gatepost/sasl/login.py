"""LOGIN (draft-murchison-sasl-login, never an RFC): what Outlook and old phones speak in place of PLAIN."""

from collections.abc import Callable
from typing import Final

from .mechanism import Credentials, Exchange, Mechanism


def exchange(_challenge: Callable[[], bytes]) -> Exchange:
    """Two messages: the user name, then the password; both may be empty.

    The prompts are fixed: clients compare them. The authentication service is told ``plain``, for it gets
    the same two things.
    """
    user = yield b"Username:"
    password = yield b"Password:"
    return Credentials("plain", user, password, cleartext=True)


MECHANISM: Final = Mechanism("LOGIN", rfc="draft-murchison-sasl-login", exchange=exchange, rank=20, always=True)
