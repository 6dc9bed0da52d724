"""Logs in to a POP3 server on a client's behalf, always with USER and PASS.

**Theory of operation.** Three replies of one line each are waited for: the greeting, and the answers to USER and
PASS. Nothing is sent before the reply that lets it go out. Any other reply ends the login; one that refuses the
name or the password is a word on the credentials.
"""

from gatepost.protocol.events import Account, Declined, Effect, Failed, LoggedIn, Send
from gatepost.protocol.upstream import BaseUpstream, Wait, shown
from gatepost.sasl.mechanism import breaks_lines

from . import grammar


class Pop3Upstream(BaseUpstream):
    """One login. See ``UpstreamMachine`` for the contract. Forgets name and password as soon as they are sent."""

    __slots__ = ("_greeted", "_password", "_user")

    def __init__(self, account: Account, reply_bytes: int) -> None:
        """The account must have a password."""
        assert account.password is not None
        super().__init__(reply_bytes)
        self._greeted = False
        # None: sent.
        self._user: bytes | None = account.user
        self._password: bytes | None = account.password

    def _read(self, effects: list[Effect]) -> bool:
        line = self._input.line()
        if line is None:
            return False
        self._input.done()
        effects.append(self._say_next(line) if grammar.agrees(line) else self._declined(line))
        return True

    def _say_next(self, line: bytes) -> Effect:
        self._greeted = True
        user, password = self._user, self._password
        if password is None:
            self._wait = Wait.RELAY
            return LoggedIn(line)
        if user is None:
            self._password = None
            return Send(grammar.password(password), "sending password to upstream")
        # There is no quoting in POP3: a line end would begin a command of somebody else's choice. What the client
        # sent has been checked; what the authentication service gave instead has not.
        if breaks_lines(user) or breaks_lines(password):
            self._give_up()
            return Failed("CR, LF or NUL in credentials for upstream")
        self._user = None
        return Send(grammar.user(user), "sending user name to upstream")

    def _declined(self, line: bytes) -> Effect:
        credentials = self._greeted and grammar.refuses(line)
        self._give_up()
        return Declined(line, shown(line), credentials)

    def _give_up(self) -> None:
        super()._give_up()
        self._user = self._password = None
