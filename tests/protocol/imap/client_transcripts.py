"""What an IMAP client and we say to each other, by the settings it is said under.

``GROUPS`` maps a name to settings and transcripts. The settings are those of ``test_client.machine``.
"""

from dataclasses import dataclass, field

from .command_transcripts import COMMANDS
from .grammar_transcripts import GRAMMAR
from .limit_transcripts import NO_BUFFER, ONE_ERROR, SMALL_BUFFER
from .login_transcripts import ALL_MECHANISMS, SASL
from .tls_transcripts import IMPLICIT_TLS, STARTTLS_ON, STARTTLS_ONLY


@dataclass(frozen=True)
class Settings:
    """``auth`` is ``imap_auth``; ``buffer`` is ``imap_client_buffer`` in bytes; ``tls``: from the first byte."""

    starttls: str = "off"
    tls: bool = False
    auth: tuple[str, ...] = ("plain",)
    buffer: int = 4096
    max_errors: int = 5


@dataclass(frozen=True)
class Group:
    settings: Settings
    transcripts: dict[str, str] = field(default_factory=dict)


ALL = ("plain", "login", "cram-md5", "external")

GROUPS = {
    "commands": Group(Settings(), COMMANDS),
    "SASL": Group(Settings(), SASL),
    "SASL, nothing that always works listed": Group(
        Settings(auth=("external",)),
        {name: SASL[name] for name in ("AUTHENTICATE PLAIN", "AUTHENTICATE LOGIN, listed or not")},
    ),
    "all mechanisms": Group(Settings(auth=ALL), ALL_MECHANISMS),
    "starttls on": Group(Settings(starttls="on"), STARTTLS_ON),
    "starttls only": Group(Settings(starttls="only"), STARTTLS_ONLY),
    "implicit TLS": Group(Settings(tls=True), IMPLICIT_TLS),
    "implicit TLS, starttls on": Group(Settings(tls=True, starttls="on"), IMPLICIT_TLS),
    "implicit TLS, starttls only": Group(Settings(tls=True, starttls="only"), IMPLICIT_TLS),
    "grammar": Group(Settings(max_errors=100), GRAMMAR),
    "a small buffer": Group(Settings(buffer=64), SMALL_BUFFER),
    "no buffer": Group(Settings(buffer=0), NO_BUFFER),
    "max_errors 1": Group(Settings(max_errors=1), ONE_ERROR),
    "max_errors 0": Group(Settings(max_errors=0), ONE_ERROR),
}
