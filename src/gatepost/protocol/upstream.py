"""What the upstream machines of all protocols have in common: reading replies within a limit, and giving up.

A reply is read line by line; what has come since our last command is kept in ``_reply`` where a protocol's replies
have several lines.
"""

from abc import ABC, abstractmethod
from enum import Enum, auto

from gatepost.log import quoted

from .events import Effect, Event, Failed
from .framing import Framer, TooLong


class Wait(Enum):
    """What an upstream machine waits for."""

    REPLY = auto()
    RELAY = auto()  # it has logged in: what comes is for the relay
    NOTHING = auto()  # it has failed: what comes is dropped


class BaseUpstream(ABC):
    """The part of an ``UpstreamMachine`` that no protocol changes."""

    __slots__ = ("_input", "_reply", "_wait")

    def __init__(self, reply_bytes: int) -> None:
        """``reply_bytes``: how long one reply may be, all its lines together."""
        self._input = Framer(reply_bytes)
        self._reply = bytearray()
        self._wait = Wait.REPLY

    def receive(self, data: bytes) -> list[Effect]:
        effects: list[Effect] = []
        if self._wait is Wait.NOTHING:
            return effects
        self._input.feed(data)
        try:
            while self._wait is Wait.REPLY and self._read(effects):
                pass
        except TooLong:
            shown = bytes(self._reply) + self._input.head()
            effects.append(Failed(f'upstream sent too long response line: "{quoted(shown)}"'))
            self._give_up()
        return effects

    def tell(self, _event: Event) -> list[Effect]:
        """Nothing that can happen concerns this machine: it asks for no handshake."""
        return []

    def rest(self) -> bytes:
        return self._input.rest()

    @abstractmethod
    def _read(self, effects: list[Effect]) -> bool:
        """Take one piece of the input. Returns whether there was one. Raises TooLong."""

    def _give_up(self) -> None:
        self._wait = Wait.NOTHING
        self._reply.clear()
        self._input.clear()


def shown(line: bytes) -> bytes:
    """A line of the upstream as the log shows it: without its line end."""
    return line.removesuffix(b"\n").removesuffix(b"\r")
