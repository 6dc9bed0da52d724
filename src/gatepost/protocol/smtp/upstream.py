"""Hands a session over to an SMTP server: greets, tells it about the client, logs in or repeats the envelope.

**Theory of operation.** What is to be said follows from the settings and the client alone (``steps``), so it is
worked out before the server has said a word. Each step waits for the whole reply to the last one: lines are read
until one does not announce another. As in nginx the code of the first line counts. After a login the client is
told so in our words; a client without one gets the server's own answer to its recipient, whatever it says.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from gatepost.protocol.events import Account, Declined, Effect, Failed, LoggedIn, Send
from gatepost.protocol.upstream import BaseUpstream, Wait, shown

from . import grammar


class Route(NamedTuple):
    """How the servers behind one of ours are talked to."""

    name: bytes  # our own
    xclient: bool
    auth: bool  # log in there, too


class Visit(NamedTuple):
    """What the server is told about the client."""

    address: bytes  # as in XCLIENT
    host: bytes  # its name in DNS
    helo: bytes  # as it called itself; may be empty
    extended: bool  # it did so with EHLO
    envelope: tuple[bytes, bytes] | None  # MAIL and RCPT; None: the client has logged in


class Step(NamedTuple):
    """One command. ``command`` is None where it cannot be said, because there is no password."""

    command: bytes | None
    action: str
    codes: tuple[bytes, ...]  # of a good answer; none: any answer is good


GREETED: Final = (b"220",)
DONE: Final = (b"250",)
AUTHENTICATED: Final = (b"235",)


def steps(route: Route, visit: Visit, account: Account) -> list[Step]:
    """All that is said, in order.

    An account that nobody has checked (``proxy_pass``) must prove itself, and its name is not vouched for.
    """
    logs_in = visit.envelope is None
    proves = logs_in and (route.auth or not account.proven)
    extended = visit.extended or route.xclient
    found = [Step(grammar.greet(extended, route.name), "sending HELO/EHLO to upstream", DONE)]
    if route.xclient:
        login = account.user if logs_in and not proves else b""
        command = grammar.xclient(visit.address, login, visit.host)
        found.append(Step(command, "sending XCLIENT to upstream", GREETED + DONE))
        if visit.helo:
            command = grammar.greet(visit.extended, visit.helo)
            found.append(Step(command, "sending client HELO/EHLO to upstream", DONE))
    if proves:
        password = account.password
        secret = None if password is None else grammar.plain(account.user, password)
        found.append(Step(secret, "sending AUTH to upstream", AUTHENTICATED))
    if visit.envelope is not None:
        mail, recipient = visit.envelope
        found.append(Step(mail + b"\r\n", "sending MAIL FROM to upstream", DONE))
        found.append(Step(recipient + b"\r\n", "sending RCPT TO to upstream", ()))
    return found


class SmtpUpstream(BaseUpstream):
    """One hand-over. See ``UpstreamMachine`` for the contract. Forgets a password as soon as it is sent."""

    __slots__ = ("_codes", "_last_words", "_todo")

    def __init__(self, todo: Sequence[Step], last_words: bytes | None, reply_bytes: int) -> None:
        """``last_words``: what the client is told in the end; None: the server's last reply."""
        super().__init__(reply_bytes)
        self._todo = list(reversed(todo))
        self._last_words = last_words
        self._codes: tuple[bytes, ...] = GREETED

    def _read(self, effects: list[Effect]) -> bool:
        line = self._input.line()
        if line is None:
            return False
        self._reply += line
        if not grammar.continues(line):
            effects.append(self._judge(bytes(self._reply)))
        return True

    def _judge(self, reply: bytes) -> Effect:
        codes = self._codes
        if codes and reply[:3] not in codes:
            self._give_up()
            wrong = codes == AUTHENTICATED and reply.startswith(b"5")
            return Declined(reply, shown(reply), credentials=wrong)
        if not self._todo:
            self._wait = Wait.RELAY
            self._reply.clear()
            return LoggedIn(reply if self._last_words is None else self._last_words)
        step = self._todo.pop()
        if step.command is None:
            self._give_up()
            return Failed("no password available", action=step.action)
        self._codes = step.codes
        self._reply.clear()
        self._input.done()
        return Send(step.command, step.action)

    def _give_up(self) -> None:
        super()._give_up()
        self._todo.clear()
