"""IMAP from the greeting to the login, as seen by the client.

**Theory of operation.** The framer hands out lines and literals. A command is put together from them
(``_handler`` and ``_arguments`` hold one that waits for a literal's data or the line behind it) and then obeyed.
While a SASL exchange runs, each line is a response and no command is looked for. In every phase but ``READING``
the machine takes no input: while the handshake or the end is near it drops what arrives, while it authenticates it
keeps it, for the relay or for the time after a refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from gatepost.log import Level, quoted
from gatepost.protocol.dialogue import SaslDialogue
from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    BackendRefused,
    Close,
    Effect,
    Event,
    Note,
    Send,
    StartTls,
    TlsReady,
)
from gatepost.protocol.framing import Framer, TooLong
from gatepost.sasl.mechanism import Credentials, Mechanism, SaslError, check

from . import grammar
from .upstream import ImapUpstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapRules:
    """What is the same for all sessions of one server."""

    buffer_bytes: int  # longest command with its literals; longest SASL response
    max_errors: int  # invalid commands; refusals of a backend that decides
    reply_bytes: int  # longest reply of an upstream
    may_starttls: bool
    login_needs_tls: bool
    capability_clear: bytes  # whole lines
    capability_tls: bytes
    mechanisms: dict[bytes, Mechanism]  # those that may be used, by name in upper case
    challenge: Callable[[], bytes]


class Phase(Enum):
    READING = auto()
    HANDSHAKING = auto()
    AUTHENTICATING = auto()
    CLOSED = auto()


class ImapClient:
    """One client. See ``ClientMachine`` for the contract."""

    __slots__ = (
        "_arguments",
        "_dialogue",
        "_errors",
        "_handler",
        "_input",
        "_literal_bytes",
        "_phase",
        "_refusals",
        "_rules",
        "_tag",
        "_tls",
        "_verb",
    )

    # The command that is being put together; no handler: none is.
    _handler: "Callable[[ImapClient, list[bytes]], list[Effect]] | None"
    _arguments: list[bytes]
    _literal_bytes: int | None  # data that are awaited next
    # Of the command, or of the exchange or login it began.
    _tag: bytes | None
    _verb: bytes | None
    _dialogue: SaslDialogue | None

    def __init__(self, rules: ImapRules, *, tls: bool) -> None:
        self._rules = rules
        self._tls = tls
        self._input = Framer(rules.buffer_bytes)
        self._phase = Phase.READING
        self._errors = 0
        self._refusals = 0
        self._restart()

    def start(self) -> list[Effect]:
        return [Send(grammar.GREETING)]

    def receive(self, data: bytes) -> list[Effect]:
        phase = self._phase
        if phase is Phase.READING:
            self._input.feed(data)
            return self._work()
        if phase is Phase.AUTHENTICATING:
            self._input.feed(data)
        # Else it is dropped. What comes between STARTTLS and the handshake came in the clear: keeping it would let
        # a man in the middle put commands into the encrypted session (CVE-2011-0411).
        return []

    def tell(self, event: Event) -> list[Effect]:
        effects: list[Effect]
        if isinstance(event, TlsReady):
            assert self._phase is Phase.HANDSHAKING
            self._tls = True
            effects = []
        else:
            effects = self._refused(event)
            if self._phase is Phase.CLOSED:
                return effects
        self._phase = Phase.READING
        self._restart()
        return effects + self._work()

    def upstream(self, account: Account) -> ImapUpstream:
        assert self._phase is Phase.AUTHENTICATING
        assert self._tag is not None
        return ImapUpstream(self._tag, account, self._rules.reply_bytes)

    def rest(self) -> bytes:
        return self._input.rest()

    # Reading -------------------------------------------------------------------------------------

    def _work(self) -> list[Effect]:
        """Obey every command that is complete."""
        effects: list[Effect] = []
        try:
            while self._phase is Phase.READING and self._step(effects):
                pass
        except TooLong:
            shown = self._too_long_command()
            effects.append(Note(Level.INFO, f'client sent too long command "{shown}"'))
            effects.append(Send(grammar.invalid(self._tag)))
            effects += self._close()
        return effects

    def _step(self, effects: list[Effect]) -> bool:
        """Take one piece of the input. Returns whether there was one."""
        if self._literal_bytes is not None:
            data = self._input.take(self._literal_bytes)
            if data is None:
                return False
            self._arguments.append(data)
            self._literal_bytes = None
        line = self._input.line()
        if line is None:
            return False
        try:
            literal = self._read(line)
        except grammar.InvalidCommand:
            effects += self._invalid(line)
            return True
        if literal is None:
            handler, arguments = self._handler, self._arguments
            assert handler is not None
            self._forget_command()
            effects += handler(self, arguments)
            return True
        self._literal_bytes = literal.size
        if literal.synchronising:
            effects.append(Send(grammar.GO_AHEAD))
        return True

    def _read(self, line: bytes) -> grammar.Literal | None:
        """Add a line to the command. Returns the literal it ends in, or None when the command is complete.

        Raises InvalidCommand.
        """
        if self._handler is not None:
            return grammar.arguments_after_literal(line, self._arguments)
        if self._dialogue is not None:
            piece, end = grammar.response(line)
            self._arguments.append(piece)
            self._handler = ImapClient._on_response
            return grammar.arguments(line, end, self._arguments)
        self._tag, self._verb, end = grammar.opening(line)
        self._handler = COMMANDS.get(self._verb or b"")
        if self._handler is None:
            raise grammar.InvalidCommand
        return grammar.arguments(line, end, self._arguments)

    def _forget_command(self) -> None:
        """Be ready to read another command, or the next response of the exchange."""
        self._handler = None
        self._arguments = []
        self._literal_bytes = None
        self._input.done()

    def _restart(self) -> None:
        """Back to the start state; whatever was under way is forgotten, credentials with it."""
        self._forget_command()
        self._dialogue = None
        self._tag = None
        self._verb = None

    def _too_long_command(self) -> str:
        """What the log shows of a command that does not fit, and the tag for its answer if that is known.

        The words only, never an argument: that may be a password. Where there is no command, any word may be one.
        """
        if self._handler is None and self._dialogue is None:
            self._tag, self._verb, _ = grammar.opening(self._input.head())
        words: list[bytes] = []
        if self._tag is not None and self._verb in COMMANDS:
            words += (self._tag, self._verb)
        if self._dialogue is not None:
            words.append(self._dialogue.mechanism.name.encode())
        return quoted(b" ".join(words)) + "..."

    # Commands ------------------------------------------------------------------------------------

    def _on_capability(self, _arguments: list[bytes]) -> list[Effect]:
        line = self._rules.capability_tls if self._tls else self._rules.capability_clear
        return self._complete(line)

    def _on_noop(self, _arguments: list[bytes]) -> list[Effect]:
        return self._complete(b"")

    def _on_logout(self, _arguments: list[bytes]) -> list[Effect]:
        return [*self._complete(grammar.BYE), *self._close()]

    def _on_starttls(self, _arguments: list[bytes]) -> list[Effect]:
        if self._tls or not self._rules.may_starttls:
            return self._refuse()
        effects = self._complete(b"")
        self._input.clear()
        self._phase = Phase.HANDSHAKING
        return [*effects, StartTls()]

    def _on_login(self, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or len(arguments) != 2 or not arguments[0]:
            return self._refuse()
        credentials = Credentials("plain", arguments[0], arguments[1], cleartext=True)
        try:
            return self._authenticate(check(credentials, "LOGIN"))
        except SaslError as error:
            return [Note(error.level, str(error)), *self._refuse()]

    def _on_authenticate(self, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or not 1 <= len(arguments) <= 2:
            return self._refuse()
        mechanism = self._rules.mechanisms.get(arguments[0].upper())
        if mechanism is None:
            return self._refuse()
        if len(arguments) == 2 and not mechanism.initial_response:
            return self._refuse()
        self._dialogue = SaslDialogue(mechanism, self._rules.challenge)
        if len(arguments) == 2:
            return self._on_response(arguments[1:])
        return [Send(grammar.prompt(self._dialogue.prompt()))]

    def _on_response(self, arguments: list[bytes]) -> list[Effect]:
        dialogue = self._dialogue
        assert dialogue is not None
        try:
            outcome = dialogue.respond(arguments[0])
        except SaslError as error:
            return [Note(error.level, str(error)), *self._refuse()]
        if isinstance(outcome, Credentials):
            return self._authenticate(outcome)
        return [Send(grammar.prompt(outcome))]

    def _login_disabled(self) -> bool:
        return self._rules.login_needs_tls and not self._tls

    # Outcomes ------------------------------------------------------------------------------------

    def _complete(self, untagged: bytes) -> list[Effect]:
        assert self._tag is not None
        return [Send(untagged + grammar.completed(self._tag))]

    def _authenticate(self, credentials: Credentials) -> list[Effect]:
        self._dialogue = None
        self._phase = Phase.AUTHENTICATING
        return [Authenticate(credentials)]

    def _refuse(self) -> list[Effect]:
        """Answer a well-formed command that cannot be obeyed. Not counted."""
        effects: list[Effect] = [Send(grammar.invalid(self._tag))]
        self._restart()
        return effects

    def _invalid(self, line: bytes) -> list[Effect]:
        """Answer a line that is no command. Counted."""
        effects = self._refuse()
        self._errors += 1
        if self._errors >= self._rules.max_errors:
            note = Note(Level.INFO, "client sent too many invalid commands")
            return [note, *effects, *self._close()]
        if grammar.announces_data(line):
            return effects + self._close()
        return effects

    def _refused(self, event: AuthRefused | BackendRefused) -> list[Effect]:
        assert self._phase is Phase.AUTHENTICATING
        assert self._tag is not None
        if isinstance(event, AuthRefused):
            effects: list[Effect] = [Send(grammar.refused(self._tag, event.text))]
            return effects + self._close() if event.final else effects
        self._refusals += 1
        if self._refusals < self._rules.max_errors:
            return [Send(event.reply)]
        note = Note(Level.INFO, "client was refused too many logins")
        return [note, Send(event.reply), *self._close()]

    def _close(self) -> list[Effect]:
        self._phase = Phase.CLOSED
        self._input.clear()
        self._restart()
        return [Close()]


COMMANDS = {
    b"CAPABILITY": ImapClient._on_capability,
    b"NOOP": ImapClient._on_noop,
    b"LOGOUT": ImapClient._on_logout,
    b"STARTTLS": ImapClient._on_starttls,
    b"LOGIN": ImapClient._on_login,
    b"AUTHENTICATE": ImapClient._on_authenticate,
}
