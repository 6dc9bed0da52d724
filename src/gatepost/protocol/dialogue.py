"""One SASL exchange as every mail protocol carries it: base64 both ways around a mechanism.

The protocols add only their words around it (``+ ``, ``334 ``) and their reply to an error.
"""

import binascii
from collections.abc import Callable
from typing import Final

from gatepost.sasl.mechanism import Credentials, Mechanism, SaslError, check

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def decode_base64(text: bytes) -> bytes | None:
    """``text`` decoded, or None if it is not base64.

    As lenient as nginx, because clients depend on it: decoding stops at the first ``=``, padding may be missing,
    leftover bits are dropped; so ``=`` and the empty text are the empty value. Any other foreign character is
    an error, which includes the ``*`` that cancels an exchange.
    """
    digits = text.partition(b"=")[0]
    if len(digits) % 4 == 1 or digits.translate(None, _ALPHABET):
        return None
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


class SaslDialogue:
    """An exchange under way. Forgets what the client sent when it ends, whichever way."""

    __slots__ = ("_exchange", "_prompt", "mechanism")

    def __init__(self, mechanism: Mechanism, challenge: Callable[[], bytes]) -> None:
        self.mechanism = mechanism
        self._exchange = mechanism.exchange(challenge)
        self._prompt = next(self._exchange)

    def prompt(self) -> bytes:
        """The first challenge in base64, for a client that sent no initial response."""
        return _encoded(self._prompt)

    def respond(self, response: bytes) -> bytes | Credentials:
        """Take a response in base64; returns the next challenge in base64, or the credentials at the end.

        Raises SaslError with the text for the log. After an error or credentials the dialogue is over.
        """
        message = decode_base64(response)
        if message is None:
            self._exchange.close()
            raise SaslError(f"client sent invalid base64 encoding in AUTH {self.mechanism.name} command")
        try:
            return _encoded(self._exchange.send(message))
        except StopIteration as end:
            credentials: Credentials = end.value
        return check(credentials, f"AUTH {self.mechanism.name}")


def _encoded(challenge: bytes) -> bytes:
    return binascii.b2a_base64(challenge, newline=False)
