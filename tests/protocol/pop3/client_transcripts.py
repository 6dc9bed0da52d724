"""What a POP3 client and we say to each other, by the settings it is said under.

``GROUPS`` maps a name to settings and transcripts. The settings are those of ``test_client.machine``.
"""

from dataclasses import dataclass, field

from .command_transcripts import CAPABILITIES, COMMANDS
from .grammar_transcripts import GRAMMAR, LONG_LINES, ONE_ERROR
from .login_transcripts import ALL_WAYS, ONLY_APOP, SASL
from .tls_transcripts import APOP_AFTER_STLS, IMPLICIT_TLS, STARTTLS_ON, STARTTLS_ONLY


@dataclass(frozen=True)
class Settings:
    """``auth`` is ``pop3_auth``; ``tls``: from the first byte."""

    starttls: str = "off"
    tls: bool = False
    auth: tuple[str, ...] = ("plain",)
    capabilities: tuple[bytes, ...] = (b"TOP", b"USER", b"UIDL")
    max_errors: int = 5


@dataclass(frozen=True)
class Group:
    settings: Settings
    transcripts: dict[str, str] = field(default_factory=dict)


ALL = ("plain", "apop", "cram-md5", "external")

GROUPS = {
    "commands": Group(Settings(), COMMANDS),
    "SASL": Group(Settings(), SASL),
    "all ways to log in": Group(Settings(auth=ALL), ALL_WAYS),
    "only APOP listed": Group(Settings(auth=("apop",)), ONLY_APOP),
    "starttls on": Group(Settings(starttls="on"), STARTTLS_ON),
    "starttls on, APOP": Group(Settings(starttls="on", auth=ALL), APOP_AFTER_STLS),
    "starttls only, APOP": Group(Settings(starttls="only", auth=ALL), APOP_AFTER_STLS),
    "starttls only": Group(Settings(starttls="only", auth=ALL), STARTTLS_ONLY),
    "implicit TLS": Group(Settings(tls=True), IMPLICIT_TLS),
    "implicit TLS, starttls on": Group(Settings(tls=True, starttls="on"), IMPLICIT_TLS),
    "implicit TLS, starttls only": Group(Settings(tls=True, starttls="only"), IMPLICIT_TLS),
    "capabilities": Group(Settings(capabilities=(b"LOGIN-DELAY 900", b"user", b".", b".x", b"user")), CAPABILITIES),
    "grammar": Group(Settings(max_errors=100), GRAMMAR),
    "long lines": Group(Settings(), LONG_LINES),
    "max_errors 1": Group(Settings(max_errors=1), ONE_ERROR),
    "max_errors 0": Group(Settings(max_errors=0), ONE_ERROR),
}
