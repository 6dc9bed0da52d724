"""Logs in to an IMAP server on a client's behalf, with the client's own tag.

**Theory of operation.** The greeting, then a continuation for each of the two literals of LOGIN are waited for;
each lets one part of the command go out (``DIALOGUE``). Where the greeting says that the server takes literals
unasked, all of it goes out at once. Then comes the verdict. Replies are read line by line. Any
number of untagged responses may come before the awaited line, and a literal inside of one is skipped by its size,
so that its data can never pass for a tagged line. Untagged responses go to the client if they come with the
verdict; earlier ones are dropped.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from gatepost.protocol.events import Account, Declined, Effect, LoggedIn, Send
from gatepost.protocol.upstream import BaseUpstream, Wait, shown

from . import grammar


class Step(NamedTuple):
    """A line that is waited for, and what is said to it: from tag, user name and password."""

    is_awaited: Callable[[bytes], bool]
    command: Callable[[bytes, bytes, bytes], bytes]
    action: str


DIALOGUE: Final = (
    Step(grammar.greets, grammar.login, "sending LOGIN command to upstream"),
    Step(grammar.goes_ahead, grammar.login_user, "sending user name to upstream"),
    Step(grammar.goes_ahead, grammar.login_password, "sending password to upstream"),
)
GREETING: Final = 0
VERDICT: Final = len(DIALOGUE)


class ImapUpstream(BaseUpstream):
    """One login. See ``UpstreamMachine`` for the contract. Forgets the account as soon as it is sent."""

    __slots__ = ("_account", "_continued", "_literal_bytes", "_step", "_tag")

    def __init__(self, tag: bytes, account: Account, reply_bytes: int) -> None:
        """The account must have a password."""
        assert account.password is not None
        super().__init__(reply_bytes)
        self._tag = tag
        self._account: tuple[bytes, bytes] | None = (account.user, account.password)
        self._step = GREETING
        self._literal_bytes: int | None = None  # awaited data inside of an untagged response
        self._continued = False  # the next line goes on with an untagged response

    def _read(self, effects: list[Effect]) -> bool:
        if self._literal_bytes is not None:
            data = self._input.take(self._literal_bytes)
            if data is None:
                return False
            self._reply += data
            self._literal_bytes = None
        line = self._input.line()
        if line is None:
            return False
        self._reply += line
        if not self._skips(line):
            effects.append(self._judge(line))
        return True

    def _skips(self, line: bytes) -> bool:
        """Whether the line belongs to an untagged response that decides nothing."""
        if not self._continued:
            if self._step == GREETING or not line.startswith(b"* "):
                return False
            condition = grammar.status(line)
            if condition:
                # No verdict is sure to come behind BYE: waiting for one would end in the timeout.
                return condition != b"BYE"
        self._literal_bytes = grammar.announced(line)
        self._continued = self._literal_bytes is not None
        return True

    def _may_log_in_at_once(self, greeting: bytes) -> bool:
        """Whether user name and password can follow the command without being asked for: two round trips less."""
        account = self._account
        return (
            account is not None
            and max(map(len, account)) <= grammar.MAX_LITERAL_AT_ONCE
            and grammar.takes_literals_at_once(greeting)
        )

    def _judge(self, line: bytes) -> Effect:
        """Look at the line that had to be the awaited one."""
        if self._account is not None:
            step = DIALOGUE[self._step]
            if step.is_awaited(line):
                command, action = step.command(self._tag, *self._account), step.action
                at_once = self._step == GREETING and self._may_log_in_at_once(line)
                self._step += 1
                if at_once:
                    command = grammar.login_at_once(self._tag, *self._account)
                    self._step = VERDICT
                self._reply.clear()
                self._input.done()
                if self._step == VERDICT:
                    self._account = None
                return Send(command, action)
        condition = grammar.verdict(line, self._tag)
        reply = bytes(self._reply)
        if self._step == VERDICT:
            if condition == b"OK":
                self._wait = Wait.RELAY
                self._reply.clear()
                return LoggedIn(reply)
            # As nginx shows it: without what was skipped and without a tag that is ours.
            text = line.removeprefix(self._tag + b" ")
        else:
            text = reply
            if condition == b"OK":
                reply = b""  # before we were done it is no yes, and the client must not take it for one
        self._give_up()
        return Declined(reply, shown(text), credentials=condition == b"NO")

    def _give_up(self) -> None:
        super()._give_up()
        self._account = None
