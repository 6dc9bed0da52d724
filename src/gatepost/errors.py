"""The error tree: one class per reaction, and the place in a file that an operator is sent to.

``ConfigError`` is for the operator, who edits a file. Everything below ``SessionError`` ends one
session: the client is answered in the words of its protocol, one line is logged, others go on.
"""

import errno
from dataclasses import dataclass
from typing import ClassVar

from .log import Level

# What a call on a socket fails with when the other side, or the network on the way to it, is gone: everyday life,
# and nothing that an operator could mend here. Anything else is worth a look.
EVERYDAY = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.ETIMEDOUT,
    }
)

# What a call that needs a descriptor or a buffer fails with when there are no more: ours, or those of the machine.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a configuration file. Lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class GatepostError(Exception):
    """Root of every error that gatepost raises on purpose."""


class ConfigError(GatepostError):
    """Something in the configuration, or in a file that it names, must be edited."""

    def __init__(self, message: str, where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.message} in {self.where}" if self.where else self.message


class SessionError(GatepostError):
    """One session cannot go on. ``str(error)`` is its log line, already escaped, without secrets.

    ``code`` is the errno of the call that failed, 0 if none did.
    """

    default_level: ClassVar[Level] = Level.ERROR

    def __init__(self, message: str, *, level: Level | None = None, code: int = 0) -> None:
        super().__init__(message)
        self.level = self.default_level if level is None else level
        self.code = code


class ClientError(SessionError):
    """The client broke a rule, went away or fell silent."""

    default_level = Level.INFO


class AuthError(SessionError):
    """The authentication service could not be asked, or did not give a usable answer."""


class UpstreamError(SessionError):
    """The server behind us could not be reached, or did not behave."""


class TlsError(SessionError):
    """The TLS library refused. ``reason`` is its last reason in words (``no shared cipher``)."""

    def __init__(self, message: str, *, reason: str = "", level: Level | None = None) -> None:
        super().__init__(message, level=level)
        self.reason = reason

    def anew(self) -> "TlsError":
        """The same error, not raised yet.

        One that was raised holds the frames that it went through. Whoever is in them must not keep it: they would
        keep each other until the garbage collector comes by, and a TLS connection is large.
        """
        return TlsError(str(self), reason=self.reason, level=self.level)
