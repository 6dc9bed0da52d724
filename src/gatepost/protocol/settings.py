"""Directives that every mail protocol obeys."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.build import Server
from gatepost.config.directive import MAIL, SERVER, Kind, Repeat, Scene, directive, nginx
from gatepost.config.kinds import NUMBER, STRINGS, size_bytes
from gatepost.errors import ConfigError

from . import protocol_of, protocols

MIN_PROXY_BUFFER = (
    512  # bytes; a reply line of POP3 and SMTP may be that long (RFC 2449 section 4, RFC 5321 section 4.5.3)
)


def _protocol(words: Sequence[str], _scene: Scene) -> str:
    if words[0] not in protocols():
        raise ConfigError(f'unknown protocol "{words[0]}"')
    return words[0]


def _server_name(words: Sequence[str], _scene: Scene) -> str:
    """An empty name stands for the machine's, and still hides the one of the outer level, as in nginx.

    Raises ConfigError for a name that would break out of its place in a greeting, a challenge or an EHLO.
    """
    if any(character <= " " or character == "\x7f" for character in words[0]):
        raise ConfigError(f"space or control character in server name {words[0]!a}")
    return words[0] or os.uname().nodename.lower()


def _proxy_buffer(words: Sequence[str], scene: Scene) -> int:
    size = size_bytes(words[0])
    if size is None:
        raise ConfigError(f'"{scene.name}" directive invalid value')
    if size < MIN_PROXY_BUFFER:
        raise ConfigError(f'"{scene.name}" must be at least {MIN_PROXY_BUFFER} bytes')
    return size


def _capabilities(words: Sequence[str], scene: Scene) -> tuple[bytes, ...]:
    """As they are written, but for what would break out of its line in the answer."""
    found = STRINGS.parse(words, scene)
    for word in found:
        if set(word) & set(b"\r\n\0"):
            raise ConfigError(f"control character in capability {word.decode('ascii', 'backslashreplace')!a}")
    return found


PROTOCOL_WORD = Kind("imap | pop3 | smtp", (1, 1), _protocol)
SERVER_NAME = Kind("name", (1, 1), _server_name)
CAPABILITIES = Kind("word ...", (1, None), _capabilities)
PROXY_BUFFER = Kind("size", (1, 1), _proxy_buffer)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSettings:
    """What is spoken, under which name, and what a client may get wrong."""

    TITLE: ClassVar[str] = "Protocols"

    protocol: str | None = directive(
        PROTOCOL_WORD,
        SERVER,
        default=None,
        repeat=Repeat.LAST_WINS,
        absent="the one whose well-known port is listened on first",
        doc="""The mail protocol that this server speaks: ``imap``, ``pop3`` or ``smtp``, in lower case.""",
    )
    server_name: str = directive(
        SERVER_NAME,
        MAIL | SERVER,
        default='""',
        absent="the host name of the machine",
        doc="""How the server calls itself in SMTP and POP3 greetings, in challenges, and in EHLO to SMTP
        backends. ``""`` stands for the host name of the machine. It chooses nothing: certificates and servers
        do not depend on it.""",
    )
    max_errors: int = directive(
        NUMBER,
        MAIL | SERVER,
        default="5",
        origin=nginx("1.21.0"),
        doc="""How many commands that cannot be understood end the session: the last of them is answered, then
        the connection is closed. Refused logins do not count, but for those that a backend refuses with
        ``proxy_pass``, which count by themselves.""",
    )
    proxy_buffer: int = directive(
        PROXY_BUFFER,
        MAIL | SERVER,
        default="4k",
        doc="""Longest reply of the backend, in bytes, while logging in; at least 512. A longer one ends the
        session with an internal error.""",
    )

    def check(self, server: Server) -> None:
        """Raises ConfigError where no protocol is known."""
        protocol_of(server)


SETTINGS: tuple[type, ...] = (ProtocolSettings,)
