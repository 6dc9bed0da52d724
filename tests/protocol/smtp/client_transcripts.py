"""What an SMTP client and we say to each other after the greeting, by the settings it is said under.

``GROUPS`` maps a name to settings and transcripts. The settings are those of ``test_client.machine``, where the
client's name in DNS is ``h``.
"""

from dataclasses import dataclass, field

from .command_transcripts import COMMANDS, SMALL_BUFFER, STERN
from .login_transcripts import ALL_MECHANISMS, LOGINS
from .tls_transcripts import IMPLICIT_TLS, STARTTLS, TLS_ONLY
from .unauthenticated_transcripts import STARTTLS_AND_MAIL, UNAUTHENTICATED


@dataclass(frozen=True)
class Settings:
    """``auth`` is ``smtp_auth``; ``buffer`` is ``smtp_client_buffer`` in bytes; ``tls``: from the first byte."""

    starttls: str = "off"
    tls: bool = False
    auth: tuple[str, ...] = ("plain", "login")
    capabilities: tuple[bytes, ...] = ()
    buffer: int = 4096
    max_errors: int = 5
    delay: float = 0


@dataclass(frozen=True)
class Group:
    settings: Settings
    transcripts: dict[str, str] = field(default_factory=dict)


ALL = ("plain", "login", "cram-md5", "external")

GROUPS = {
    "commands": Group(Settings(), COMMANDS),
    "logins": Group(Settings(), LOGINS),
    "all mechanisms": Group(Settings(auth=ALL), ALL_MECHANISMS),
    "without a login": Group(Settings(auth=("none",)), UNAUTHENTICATED),
    "starttls on": Group(Settings(starttls="on", capabilities=(b"SIZE 10485760",)), STARTTLS),
    "starttls on, without a login": Group(Settings(starttls="on", auth=("none",)), STARTTLS_AND_MAIL),
    "starttls only": Group(Settings(starttls="only", auth=("plain", "login", "none")), TLS_ONLY),
    "implicit TLS": Group(Settings(starttls="only", tls=True), IMPLICIT_TLS),
    "a small buffer": Group(Settings(buffer=20), SMALL_BUFFER),
    "max_errors 1": Group(Settings(max_errors=1), STERN),
    "max_errors 0": Group(Settings(max_errors=0), STERN),
}
