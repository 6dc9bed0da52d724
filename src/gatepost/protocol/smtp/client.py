"""SMTP from the greeting to the login, as seen by the client.

**Theory of operation.** Before anything is said the client's name is looked up, and then the greeting may be held
back: what arrives before it is too early. After it each line is a command, or a response while a SASL exchange
runs. Where mail is let in without a login (``smtp_auth none``) MAIL is kept, and the first RCPT asks the
authentication service; both are repeated to the server that it names, and the rest of the mail goes there directly.
"""

from dataclasses import dataclass
from typing import Final

from gatepost.address import Address
from gatepost.log import Level, quoted
from gatepost.protocol.client import BaseClient, Phase
from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    ClientNamed,
    Effect,
    Event,
    Note,
    ResolveClient,
    Send,
    Wake,
    Woke,
)
from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.rules import ClientRules
from gatepost.sasl.mechanism import Credentials

from . import grammar
from .settings import UNAUTHENTICATED
from .upstream import Route, SmtpUpstream, Visit, steps


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpRules(ClientRules):
    """What is the same for all sessions of one server."""

    greeting: bytes  # whole lines
    helo: bytes
    ehlo_clear: bytes
    ehlo_tls: bytes
    delay_seconds: float  # before the greeting
    unauthenticated: bool  # MAIL needs no login
    route: Route


_NOBODY: Final = Credentials(UNAUTHENTICATED, b"", b"", cleartext=False)


class SmtpClient(BaseClient[SmtpRules]):
    """One client. See ``ClientMachine`` for the contract."""

    __slots__ = ("_address", "_chunk", "_extended", "_greeted", "_helo", "_host", "_mail", "_recipient")

    _mail: bytes | None  # the command as it came, without its end
    _recipient: bytes | None

    def __init__(self, rules: SmtpRules, *, tls: bool, address: Address) -> None:
        super().__init__(rules, tls=tls)
        self._address = address
        self._host: bytes | None = None  # until it has been looked up
        self._greeted = False
        self._chunk = 0  # bytes that are still to come of a chunk that was refused
        self._forget_session()

    def start(self) -> list[Effect]:
        return [ResolveClient()]

    def receive(self, data: bytes) -> list[Effect]:
        if self._greeted:
            return super().receive(data)
        self._input.feed(data)
        return [] if self._host is None else self._reject_early()

    def tell(self, event: Event) -> list[Effect]:
        if isinstance(event, ClientNamed):
            self._host = event.host
            if not self._rules.delay_seconds:
                return self._greet()
            if self._input:
                return self._reject_early()
            return [Wake(self._rules.delay_seconds, "in delay pipelining state")]
        if isinstance(event, Woke):
            return self._greet()
        return super().tell(event)

    def upstream(self, account: Account) -> SmtpUpstream:
        assert self._phase is Phase.AUTHENTICATING
        assert self._host is not None
        address = grammar.xclient_address(self._address)
        letter = None if self._mail is None or self._recipient is None else (self._mail, self._recipient)
        visit = Visit(address, self._host, self._helo, self._extended, letter)
        last_words = grammar.LOGGED_IN if letter is None else None
        return SmtpUpstream(steps(self._rules.route, visit, account), last_words, self._rules.reply_bytes)

    # Before the greeting -------------------------------------------------------------------------

    def _greet(self) -> list[Effect]:
        self._greeted = True
        return [Send(self._rules.greeting), *self._work()]

    def _reject_early(self) -> list[Effect]:
        said = quoted(grammar.shown(self._input.head()))
        self._greeted = True
        note = Note(Level.INFO, f'client was rejected before greeting: "{said}"')
        return [note, Send(grammar.TOO_EARLY), *self._close()]

    # Reading -------------------------------------------------------------------------------------

    def _step(self, effects: list[Effect]) -> bool:
        if self._chunk:
            self._chunk -= self._input.drop(self._chunk)
            if self._chunk:
                return False
        return super()._step(effects)

    def _obey(self, line: bytes) -> list[Effect]:
        self._input.done()
        if self._dialogue is not None:
            return self._respond(grammar.response(line))
        handler = COMMANDS.get(grammar.verb(line))
        if handler is None:
            # A client may send a chunk without waiting for leave. Its lines are somebody's letter, not commands.
            self._chunk = grammar.chunk_bytes(line)
            raise InvalidCommand
        return handler(self, line, grammar.arguments(line))

    def _too_long_command(self) -> bytes:
        if self._dialogue is not None:
            return b"AUTH " + self._dialogue.mechanism.name.encode()
        verb = grammar.verb(self._input.head())
        return verb if verb in COMMANDS else b""

    # Commands ------------------------------------------------------------------------------------

    def _on_helo(self, _line: bytes, arguments: list[bytes]) -> list[Effect]:
        return self._hello(arguments, extended=False)

    def _on_ehlo(self, _line: bytes, arguments: list[bytes]) -> list[Effect]:
        return self._hello(arguments, extended=True)

    def _hello(self, arguments: list[bytes], *, extended: bool) -> list[Effect]:
        if len(arguments) != 1 or not grammar.is_name(arguments[0]):
            return [Send(grammar.INVALID_ARGUMENT)]
        self._forget_session()
        self._helo = arguments[0]
        self._extended = extended
        rules = self._rules
        if not extended:
            return [Send(rules.helo)]
        return [Send(rules.ehlo_tls if self._tls else rules.ehlo_clear)]

    def _on_auth(self, _line: bytes, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or len(arguments) > 2:
            return self._refuse()
        if not arguments:
            return [Send(grammar.INVALID_ARGUMENT)]
        return self._begin_sasl(arguments[0], arguments[1] if len(arguments) == 2 else None)

    def _on_starttls(self, _line: bytes, _arguments: list[bytes]) -> list[Effect]:
        effects = self._starttls(grammar.GO_AHEAD)
        if self._phase is Phase.HANDSHAKING:
            self._forget_session()
        return effects

    def _on_mail(self, line: bytes, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled():
            return self._reject(line, grammar.NEEDS_TLS)
        if not self._rules.unauthenticated:
            return self._reject(line, grammar.NEEDS_LOGIN)
        if self._mail is not None:
            return [Send(grammar.BAD_SEQUENCE)]
        mail = grammar.envelope(line)
        if mail is None or not arguments:
            return [Send(grammar.INVALID_ARGUMENT)]
        self._mail = mail
        return [Send(grammar.OK)]

    def _on_rcpt(self, line: bytes, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled():
            return self._reject(line, grammar.NEEDS_TLS)
        if self._mail is None:
            return [Send(grammar.BAD_SEQUENCE)]
        recipient = grammar.envelope(line)
        if recipient is None or not arguments:
            return [Send(grammar.INVALID_ARGUMENT)]
        self._recipient = recipient
        told = (
            (b"Auth-SMTP-Helo", self._helo),
            (b"Auth-SMTP-From", self._mail),
            (b"Auth-SMTP-To", recipient),
        )
        return self._ask(_NOBODY, told)

    def _on_rset(self, _line: bytes, _arguments: list[bytes]) -> list[Effect]:
        self._forget_letter()
        return [Send(grammar.OK)]

    def _on_noop(self, _line: bytes, _arguments: list[bytes]) -> list[Effect]:
        return [Send(grammar.OK)]

    def _on_quit(self, _line: bytes, _arguments: list[bytes]) -> list[Effect]:
        return [Send(grammar.BYE), *self._close()]

    def _on_question(self, _line: bytes, _arguments: list[bytes]) -> list[Effect]:
        """VRFY, EXPN and HELP: known, so they are no mistakes of the client."""
        return self._refuse()

    # Outcomes ------------------------------------------------------------------------------------

    def _authenticate(self, credentials: Credentials) -> list[Effect]:
        # The server that the client logs in to has not heard its MAIL.
        self._forget_letter()
        return self._ask(credentials)

    def _ask(self, credentials: Credentials, told: tuple[tuple[bytes, bytes], ...] = ()) -> list[Effect]:
        self._dialogue = None
        self._phase = Phase.AUTHENTICATING
        return [Authenticate(credentials, self._host, told)]

    def _reject(self, line: bytes, reply: bytes) -> list[Effect]:
        note = Note(Level.INFO, f'client was rejected: "{quoted(grammar.shown(line))}"')
        return [note, Send(reply)]

    def _forget_session(self) -> None:
        self._helo = b""
        self._extended = False
        self._forget_letter()

    def _forget_letter(self) -> None:
        self._mail = None
        self._recipient = None

    # Words ---------------------------------------------------------------------------------------

    def _invalid_reply(self) -> bytes:
        return grammar.INVALID_COMMAND

    def _refused_reply(self, event: AuthRefused) -> bytes:
        return grammar.refused(event.text, event.code)

    def _prompt(self, challenge: bytes) -> bytes:
        return grammar.prompt(challenge)


COMMANDS: Final = {
    b"HELO": SmtpClient._on_helo,
    b"EHLO": SmtpClient._on_ehlo,
    b"AUTH": SmtpClient._on_auth,
    b"STARTTLS": SmtpClient._on_starttls,
    b"MAIL": SmtpClient._on_mail,
    b"RCPT": SmtpClient._on_rcpt,
    b"RSET": SmtpClient._on_rset,
    b"NOOP": SmtpClient._on_noop,
    b"QUIT": SmtpClient._on_quit,
    b"VRFY": SmtpClient._on_question,
    b"EXPN": SmtpClient._on_question,
    b"HELP": SmtpClient._on_question,
}
