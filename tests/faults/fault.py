"""A fault: who misbehaves and how, what the client gets to see of it, and what the log says of it."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from . import peer, visitor
from .speech import IMAP, READING, Speech

TIMED_OUT = "timed out (110: Connection timed out)"
RESET = "recv() failed (104: Connection reset by peer)"
ANYTHING = "<anything>"  # in a line of the log: text that is somebody else's business


class Place(Enum):
    """Where a server should be."""

    DOWN = "nobody listens"
    DEAF = "the queue is full: the kernel answers no more"


Server: TypeAlias = peer.Script | Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row. It is played once, in front of a server of the configuration that it has for itself.

    ``sees`` is what the client got behind the answers to its first commands, to the end of the connection. ``log``
    has all lines of the session, in order, but for that of the accept; made with ``told`` and the like. ``or_log``
    is what it may have instead, where two things happen at once and either may be seen first.

    Where all goes well, the defaults stand: a service that accepts, a backend that lets in and then repeats what it
    hears, a client that logs in and stays to the end.
    """

    name: str
    speech: Speech = IMAP
    directives: str = ""  # of its server, besides those of the speech
    listen: str = ""  # parameters of its listener
    service: Server = peer.accepts
    backend: Server = peer.lets_in
    client: visitor.Visit = visitor.logs_in
    starttls: bool = False  # the client begins with STARTTLS, and the log says so
    sees: bytes
    log: tuple[str, ...]
    or_log: tuple[str, ...] | None = None

    @property
    def logs(self) -> tuple[tuple[str, ...], ...]:
        return (self.log,) if self.or_log is None else (self.log, self.or_log)

    @property
    def user(self) -> str:
        return self.name.replace(" ", "-")

    def __str__(self) -> str:
        return self.name


# Lines of the log. ``{server}`` and so on are filled in by the runner.

SESSION = "client: 127.0.0.1{using}, server: 127.0.0.1:{server}"
LOGIN = SESSION + "{login}"
UPSTREAM = LOGIN + ", upstream: 127.0.0.1:{upstream}"


def told(level: str, text: str, doing: str, suffix: str) -> str:
    return f"[{level}] {text} while {doing}, {suffix}"


def of_client(text: str, doing: str = "in auth state", *, level: str = "info") -> str:
    """A line about a client that has not begun to log in."""
    return told(level, text, doing, SESSION)


def of_service(text: str, *, level: str = "error") -> str:
    """``{service}`` in ``text`` is where the service listens."""
    return told(level, text, "in http auth state", LOGIN)


def of_backend(text: str, doing: str = READING, *, level: str = "error") -> str:
    return told(level, text, doing, UPSTREAM)


def of_relay(text: str, doing: str, *, level: str = "info") -> str:
    return told(level, text, f"proxying{doing}", UPSTREAM)


LOGGED_IN = f"[info] client logged in, {UPSTREAM}"
DONE = f"[info] proxied session done, {UPSTREAM}"
