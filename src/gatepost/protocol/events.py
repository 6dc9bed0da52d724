"""What can happen to a machine (events), and what a machine may ask for (effects).

Both are plain values: a machine never sees a socket, a clock or a thread. Bytes arrive through
``receive``; everything else through ``tell``. Effects are performed in order, each to its end.

Nobody changes a value. Those that every login makes are not frozen all the same, and have an ``__init__`` of their
own: the one that a frozen dataclass gets takes several times as long (docs/why/0014-the-cost-of-a-login.md).
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from ..log import Level
from ..sasl.mechanism import Credentials

# Effects --------------------------------------------------------------------------------------------


@dataclass(slots=True, init=False)
class Send:
    """Deliver these bytes to the side this machine talks to.

    ``action`` is what the log says we are doing from now on (``sending user name to upstream``); empty: no change.
    """

    data: bytes = field(repr=False)  # a password may be in it
    action: str

    def __init__(self, data: bytes, action: str = "") -> None:
        self.data = data
        self.action = action


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin the handshake now; answered by ``TlsReady``. What was received before is already forgotten."""


@dataclass(frozen=True, slots=True)
class ResolveClient:
    """Find the client's name in DNS; answered by ``ClientNamed``. The machine takes no input until then."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Wait for ``seconds``; answered by ``Woke`` unless input arrives first, which then is the answer.

    No ``timeout`` runs meanwhile; it begins with the answer. ``action`` is what the log says we are doing.
    """

    seconds: float
    action: str


@dataclass(slots=True, init=False)
class Authenticate:
    """Find out whether, where and as whom this client may log in.

    The machine takes no input until it is told ``AuthRefused`` or ``BackendRefused``, or the relay starts.
    """

    credentials: Credentials
    client_host: bytes | None  # SMTP: the client's name in DNS
    extra: tuple[tuple[bytes, bytes], ...]  # more lines for the authentication service, by protocol

    def __init__(
        self,
        credentials: Credentials,
        client_host: bytes | None = None,
        extra: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.credentials = credentials
        self.client_host = client_host
        self.extra = extra


@dataclass(frozen=True, slots=True)
class Close:
    """End the session once everything sent has been delivered."""


@dataclass(frozen=True, slots=True)
class Note:
    """Write one line to the log. ``text`` is already escaped."""

    level: Level
    text: str


@dataclass(slots=True, init=False)
class LoggedIn:
    """The upstream accepted the login. ``reply`` goes to the client as it is; then the relay starts."""

    reply: bytes = field(repr=False)

    def __init__(self, reply: bytes) -> None:
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Declined:
    """The upstream did not accept. ``reply`` is all it said to the last command, ``text`` what the log shows.

    ``reply`` is empty where the client could take it for a yes.

    ``credentials``: it refused these credentials (IMAP: a tagged NO), so that the client may try others.
    """

    reply: bytes = field(repr=False)  # as a rule it is harmless, but it may repeat a password
    text: bytes = field(repr=False)
    credentials: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The login upstream cannot go on: too long a reply, no password to give. ``text`` is the log line, escaped."""

    text: str
    level: Level = Level.ERROR
    action: str = ""  # as in ``Send``


Effect: TypeAlias = (
    Send | StartTls | ResolveClient | Wake | Authenticate | Close | Note | LoggedIn | Declined | Failed
)

# Events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TlsReady:
    """The handshake that ``StartTls`` asked for is done."""


@dataclass(frozen=True, slots=True)
class ClientNamed:
    """What DNS says about the client: its confirmed name in lower case, or in brackets why there is none."""

    host: bytes


@dataclass(frozen=True, slots=True)
class Woke:
    """The time that ``Wake`` asked for has passed, and nothing has arrived."""


@dataclass(frozen=True, slots=True)
class AuthRefused:
    """The authentication service said no. ``final``: the session ends after the answer.

    ``code`` replaces the protocol's own reply code where it has one (SMTP, ``Auth-Error-Code``).
    """

    text: bytes
    final: bool
    code: bytes = b""


@dataclass(frozen=True, slots=True)
class BackendRefused:
    """The backend refused the credentials in its own words, which already fit the client's command."""

    reply: bytes = field(repr=False)


Event: TypeAlias = TlsReady | ClientNamed | Woke | AuthRefused | BackendRefused


@dataclass(slots=True, init=False)
class Account:
    """As whom to log in upstream. The password never shows in ``repr``.

    ``proven``: the authentication service has checked the password. If not (``proxy_pass``), the upstream must:
    an upstream machine then presents the password or fails, whatever its settings say.
    """

    user: bytes
    password: bytes | None = field(repr=False)
    proven: bool

    def __init__(self, user: bytes, password: bytes | None, proven: bool) -> None:
        self.user = user
        self.password = password
        self.proven = proven
