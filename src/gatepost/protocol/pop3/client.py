"""POP3 from the greeting to the login, as seen by the client.

**Theory of operation.** Every command is one line. USER leads to a state of its own (``_user`` holds the name) in
which a few commands work; whatever is refused or invalid leads back to the start, so that a PASS behind it is
refused too. While a SASL exchange runs, each line is a response and no command is looked for.

APOP answers the challenge of the greeting; every CRAM-MD5 exchange has a challenge of its own.
"""

from dataclasses import dataclass
from typing import Final

from gatepost.log import Level
from gatepost.protocol.client import BaseClient, Phase
from gatepost.protocol.events import Account, AuthRefused, Effect, Note, Send
from gatepost.protocol.framing import InvalidCommand
from gatepost.protocol.rules import ClientRules
from gatepost.sasl.mechanism import Credentials

from . import grammar
from .settings import APOP
from .upstream import Pop3Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop3Rules(ClientRules):
    """What is the same for all sessions of one server."""

    greets_with_challenge: bool
    apop: bool
    capa_clear: bytes  # whole answers
    capa_tls: bytes
    methods: bytes


class Pop3Client(BaseClient[Pop3Rules]):
    """One client. See ``ClientMachine`` for the contract."""

    __slots__ = ("_challenge", "_user")

    _user: bytes | None  # since USER

    def __init__(self, rules: Pop3Rules, *, tls: bool) -> None:
        super().__init__(rules, tls=tls)
        self._challenge = rules.common.challenge() if rules.greets_with_challenge else b""

    def start(self) -> list[Effect]:
        return [Send(grammar.greeting(self._challenge))]

    def upstream(self, account: Account) -> Pop3Upstream:
        assert self._phase is Phase.AUTHENTICATING
        return Pop3Upstream(account, self._rules.reply_bytes)

    # Reading -------------------------------------------------------------------------------------

    def _obey(self, line: bytes) -> list[Effect]:
        self._input.done()
        if self._dialogue is not None:
            return self._respond(grammar.response(line))
        verb, arguments = grammar.command(line)
        handler = COMMANDS.get(verb)
        if handler is None:
            raise InvalidCommand
        if self._user is not None and verb not in AFTER_USER:
            return self._refuse()
        return handler(self, arguments)

    def _restart(self) -> None:
        super()._restart()
        self._user = None

    def _too_long_command(self) -> bytes:
        if self._dialogue is not None:
            return b"AUTH " + self._dialogue.mechanism.name.encode()
        verb = grammar.opening(self._input.head())
        return verb if verb in COMMANDS else b""

    # Commands ------------------------------------------------------------------------------------

    def _on_user(self, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or not arguments:
            return self._refuse()
        self._user = arguments[0]
        return [Send(grammar.OK)]

    def _on_pass(self, arguments: list[bytes]) -> list[Effect]:
        if self._user is None or not arguments:
            return self._refuse()
        return self._log_in(Credentials("plain", self._user, arguments[0], cleartext=True), "PASS")

    def _on_apop(self, arguments: list[bytes]) -> list[Effect]:
        if not self._rules.apop or self._login_disabled() or len(arguments) != 2:
            return self._refuse()
        user, digest = arguments
        if not grammar.is_digest(digest):
            return [Note(Level.INFO, "client sent invalid digest in APOP command"), *self._refuse()]
        return self._log_in(Credentials(APOP, user, digest, cleartext=False, salt=self._challenge), "APOP")

    def _on_auth(self, arguments: list[bytes]) -> list[Effect]:
        if self._login_disabled() or len(arguments) > 2:
            return self._refuse()
        if not arguments:
            return [Send(self._rules.methods)]
        return self._begin_sasl(arguments[0], arguments[1] if len(arguments) == 2 else None)

    def _on_capa(self, _arguments: list[bytes]) -> list[Effect]:
        # STLS is refused behind USER, so it is not offered there either.
        clear = not self._tls and self._user is None
        return [Send(self._rules.capa_clear if clear else self._rules.capa_tls)]

    def _on_stls(self, _arguments: list[bytes]) -> list[Effect]:
        return self._starttls(grammar.OK)

    def _on_noop(self, _arguments: list[bytes]) -> list[Effect]:
        return [Send(grammar.OK)]

    def _on_quit(self, _arguments: list[bytes]) -> list[Effect]:
        return [Send(grammar.OK), *self._close()]

    # Words ---------------------------------------------------------------------------------------

    def _invalid_reply(self) -> bytes:
        return grammar.INVALID

    def _refused_reply(self, event: AuthRefused) -> bytes:
        return grammar.refused(event.text)

    def _prompt(self, challenge: bytes) -> bytes:
        return grammar.prompt(challenge)


COMMANDS: Final = {
    b"USER": Pop3Client._on_user,
    b"PASS": Pop3Client._on_pass,
    b"APOP": Pop3Client._on_apop,
    b"AUTH": Pop3Client._on_auth,
    b"CAPA": Pop3Client._on_capa,
    b"STLS": Pop3Client._on_stls,
    b"NOOP": Pop3Client._on_noop,
    b"QUIT": Pop3Client._on_quit,
}
AFTER_USER: Final = frozenset((b"PASS", b"CAPA", b"NOOP", b"QUIT"))
