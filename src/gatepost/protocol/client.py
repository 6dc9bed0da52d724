"""What the client machines of all protocols have in common: phases, counting, SASL, STARTTLS, the ends of a login.

**Theory of operation.** Lines are obeyed one by one while the machine is ``READING``. In every other phase it takes
no input: while the handshake or the end is near it drops what arrives, while it authenticates it keeps it, for the
relay or for the time after a refusal. A protocol adds its commands (``_obey``) and its words for what is the same
everywhere.
"""

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import Generic, TypeVar

from gatepost.log import Level, quoted
from gatepost.sasl.mechanism import Credentials, SaslError, check

from .dialogue import SaslDialogue
from .events import (
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
from .framing import Framer, InvalidCommand, TooLong
from .rules import ClientRules

Rules = TypeVar("Rules", bound=ClientRules)


class Phase(Enum):
    READING = auto()
    HANDSHAKING = auto()
    AUTHENTICATING = auto()
    CLOSED = auto()


class BaseClient(ABC, Generic[Rules]):
    """The part of a ``ClientMachine`` that no protocol changes."""

    __slots__ = ("_dialogue", "_errors", "_input", "_phase", "_refusals", "_rules", "_tls")

    _rules: Rules
    _dialogue: SaslDialogue | None  # the exchange under way

    def __init__(self, rules: Rules, *, tls: bool) -> None:
        self._rules = rules
        self._tls = tls
        self._input = Framer(rules.buffer_bytes)
        self._phase = Phase.READING
        self._errors = 0
        self._refusals = 0
        self._restart()

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

    def rest(self) -> bytes:
        return self._input.rest()

    # What a protocol adds ------------------------------------------------------------------------

    @abstractmethod
    def _obey(self, line: bytes) -> list[Effect]:
        """Act on a line, and tell the framer when a command is ``done``. Raises InvalidCommand."""

    @abstractmethod
    def _too_long_command(self) -> bytes:
        """What the log shows of a command that does not fit: known words only, never what may be a password."""

    @abstractmethod
    def _invalid_reply(self) -> bytes:
        """The answer to what is no command, and to a command that cannot be obeyed."""

    @abstractmethod
    def _refused_reply(self, event: AuthRefused) -> bytes:
        """The answer to a login that the authentication service refused."""

    @abstractmethod
    def _prompt(self, challenge: bytes) -> bytes:
        """The line that carries a challenge, already in base64."""

    def _restart(self) -> None:
        """Back to the start state; whatever was under way is forgotten, credentials with it."""
        self._dialogue = None

    # Reading -------------------------------------------------------------------------------------

    def _work(self) -> list[Effect]:
        """Obey every command that is complete."""
        effects: list[Effect] = []
        try:
            while self._phase is Phase.READING and self._step(effects):
                pass
        except TooLong:
            shown = quoted(self._too_long_command())
            effects.append(Note(Level.INFO, f'client sent too long command "{shown}..."'))
            effects.append(Send(self._invalid_reply()))
            effects += self._close()
        return effects

    def _step(self, effects: list[Effect]) -> bool:
        """Take one piece of the input. Returns whether there was one."""
        line = self._input.line()
        if line is None:
            return False
        try:
            effects += self._obey(line)
        except InvalidCommand:
            effects += self._invalid(line)
        return True

    # Logging in ----------------------------------------------------------------------------------

    def _login_disabled(self) -> bool:
        return self._rules.common.login_needs_tls and not self._tls

    def _begin_sasl(self, name: bytes, response: bytes | None) -> list[Effect]:
        """Start the exchange that the client names, in any letter case; ``response`` came with the command."""
        mechanism = self._rules.mechanisms.get(name.upper())
        if mechanism is None or (response is not None and not mechanism.initial_response):
            return self._refuse()
        self._dialogue = SaslDialogue(mechanism, self._rules.common.challenge)
        if response is None:
            return [Send(self._prompt(self._dialogue.prompt()))]
        return self._respond(response)

    def _respond(self, response: bytes) -> list[Effect]:
        """Go on with the exchange under way."""
        dialogue = self._dialogue
        assert dialogue is not None
        try:
            outcome = dialogue.respond(response)
        except SaslError as error:
            return [Note(error.level, str(error)), *self._refuse()]
        if isinstance(outcome, Credentials):
            return self._authenticate(outcome)
        return [Send(self._prompt(outcome))]

    def _log_in(self, credentials: Credentials, command: str) -> list[Effect]:
        """Authenticate with what came in ``command``, without SASL."""
        try:
            return self._authenticate(check(credentials, command))
        except SaslError as error:
            return [Note(error.level, str(error)), *self._refuse()]

    def _authenticate(self, credentials: Credentials) -> list[Effect]:
        self._dialogue = None
        self._phase = Phase.AUTHENTICATING
        return [Authenticate(credentials)]

    # Outcomes ------------------------------------------------------------------------------------

    def _starttls(self, reply: bytes) -> list[Effect]:
        """Agree to a handshake with ``reply``, or refuse it."""
        if self._tls or not self._rules.common.may_starttls:
            return self._refuse()
        self._input.clear()
        self._phase = Phase.HANDSHAKING
        return [Send(reply), StartTls()]

    def _refuse(self) -> list[Effect]:
        """Answer a well-formed command that cannot be obeyed. Not counted."""
        effects: list[Effect] = [Send(self._invalid_reply())]
        self._restart()
        return effects

    def _invalid(self, _line: bytes) -> list[Effect]:
        """Answer a line that is no command. Counted."""
        effects = self._refuse()
        self._errors += 1
        if self._errors < self._rules.common.max_errors:
            return effects
        return [Note(Level.INFO, "client sent too many invalid commands"), *effects, *self._close()]

    def _refused(self, event: Event) -> list[Effect]:
        assert self._phase is Phase.AUTHENTICATING
        if isinstance(event, AuthRefused):
            effects: list[Effect] = [Send(self._refused_reply(event))]
            return effects + self._close() if event.final else effects
        assert isinstance(event, BackendRefused)
        self._refusals += 1
        if self._refusals < self._rules.common.max_errors:
            return [Send(event.reply)]
        note = Note(Level.INFO, "client was refused too many logins")
        return [note, Send(event.reply), *self._close()]

    def _close(self) -> list[Effect]:
        self._phase = Phase.CLOSED
        self._input.clear()
        self._restart()
        return [Close()]
