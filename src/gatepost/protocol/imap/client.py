"""IMAP from the greeting to the login, as seen by the client.

**Theory of operation.** The framer hands out lines and literals. A command is put together from them
(``_handler`` and ``_arguments`` hold one that waits for a literal's data or the line behind it) and then obeyed.
While a SASL exchange runs, each line is a response and no command is looked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gatepost.protocol.client import BaseClient, Phase
from gatepost.protocol.events import Account, AuthRefused, Effect, Send
from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.rules import ClientRules
from gatepost.sasl.mechanism import Credentials

from . import grammar
from .upstream import ImapUpstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapRules(ClientRules):
    """What is the same for all sessions of one server. A command counts with its literals."""

    capability_clear: bytes  # whole lines
    capability_tls: bytes


class ImapClient(BaseClient[ImapRules]):
    """One client. See ``ClientMachine`` for the contract."""

    __slots__ = ("_arguments", "_handler", "_literal_bytes", "_tag", "_verb")

    # The command that is being put together; no handler: none is.
    _handler: "Callable[[ImapClient, list[bytes]], list[Effect]] | None"
    _arguments: list[bytes]
    _literal_bytes: int | None  # data that are awaited next
    # Of the command, or of the exchange or login it began.
    _tag: bytes | None
    _verb: bytes | None

    def start(self) -> list[Effect]:
        return [Send(grammar.GREETING)]

    def upstream(self, account: Account) -> ImapUpstream:
        assert self._phase is Phase.AUTHENTICATING
        assert self._tag is not None
        return ImapUpstream(self._tag, account, self._rules.reply_bytes)

    # Reading -------------------------------------------------------------------------------------

    def _step(self, effects: list[Effect]) -> bool:
        if self._literal_bytes is not None:
            data = self._input.take(self._literal_bytes)
            if data is None:
                return False
            self._arguments.append(data)
            self._literal_bytes = None
        return super()._step(effects)

    def _obey(self, line: bytes) -> list[Effect]:
        literal = self._read(line)
        if literal is None:
            handler, arguments = self._handler, self._arguments
            assert handler is not None
            self._forget_command()
            return handler(self, arguments)
        self._literal_bytes = literal.size
        return [Send(grammar.GO_AHEAD)] if literal.synchronising else []

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
            raise InvalidCommand
        return grammar.arguments(line, end, self._arguments)

    def _forget_command(self) -> None:
        """Be ready to read another command, or the next response of the exchange."""
        self._handler = None
        self._arguments = []
        self._literal_bytes = None
        self._input.done()

    def _restart(self) -> None:
        super()._restart()
        self._forget_command()
        self._tag = None
        self._verb = None

    def _too_long_command(self) -> bytes:
        """Finds the tag for the answer, too. Where there is no command, any word may be a password."""
        if self._handler is None and self._dialogue is None:
            self._tag, self._verb, _ = grammar.opening(self._input.head())
        words: list[bytes] = []
        if self._tag is not None and self._verb in COMMANDS:
            words += (self._tag, self._verb)
        if self._dialogue is not None:
            words.append(self._dialogue.mechanism.name.encode())
        return b" ".join(words)

    # Commands ------------------------------------------------------------------------------------

    def _on_capability(self, _arguments: list[bytes]) -> list[Effect]:
        line = self._rules.capability_tls if self._tls else self._rules.capability_clear
        return self._complete(line)

    def _on_noop(self, _arguments: list[bytes]) -> list[Effect]:
        return self._complete(b"")

    def _on_logout(self, _arguments: list[bytes]) -> list[Effect]:
        return [*self._complete(grammar.BYE), *self._close()]

    def _on_starttls(self, _arguments: list[bytes]) -> list[Effect]:
        assert self._tag is not None
        return self._starttls(grammar.completed(self._tag))

    def _on_login(self, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or len(arguments) != 2 or not arguments[0]:
            return self._refuse()
        return self._log_in(Credentials("plain", arguments[0], arguments[1], cleartext=True), "LOGIN")

    def _on_authenticate(self, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or not 1 <= len(arguments) <= 2:
            return self._refuse()
        return self._begin_sasl(arguments[0], arguments[1] if len(arguments) == 2 else None)

    def _on_response(self, arguments: list[bytes]) -> list[Effect]:
        return self._respond(arguments[0])

    # Words ---------------------------------------------------------------------------------------

    def _complete(self, untagged: bytes) -> list[Effect]:
        assert self._tag is not None
        return [Send(untagged + grammar.completed(self._tag))]

    def _invalid_reply(self) -> bytes:
        return grammar.invalid(self._tag)

    def _refused_reply(self, event: AuthRefused) -> bytes:
        assert self._tag is not None
        return grammar.refused(self._tag, event.text)

    def _prompt(self, challenge: bytes) -> bytes:
        return grammar.prompt(challenge)

    def _invalid(self, line: bytes) -> list[Effect]:
        effects = super()._invalid(line)
        if self._phase is Phase.READING and grammar.announces_data(line):
            effects += self._close()
        return effects


COMMANDS: Final = {
    b"CAPABILITY": ImapClient._on_capability,
    b"NOOP": ImapClient._on_noop,
    b"LOGOUT": ImapClient._on_logout,
    b"STARTTLS": ImapClient._on_starttls,
    b"LOGIN": ImapClient._on_login,
    b"AUTHENTICATE": ImapClient._on_authenticate,
}
