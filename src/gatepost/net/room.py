"""The connections of one worker: how many there are, and how many there may be (``worker_connections``).

Theory of operation. Sessions and relays are counted where they are kept anyway, at no cost to any of them. Whatever
else opens a connection, to an upstream, an authentication service or a name server, takes a place for it first and
leaves the place when the connection is closed. What is kept open only for later use is given up before anything is
refused.
"""

import sys
from collections.abc import Callable


class Room:
    """What one worker has room for. ``counted`` says how many connections are held besides those with a ``Place``.

    ``spares`` close one connection each that nobody needs now; the result is whether there was one.
    """

    __slots__ = ("counted", "limit", "places", "spares")

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.limit = limit
        self.places = 0
        self.counted: Callable[[], int] = _none
        self.spares: list[Callable[[], bool]] = []

    @property
    def held(self) -> int:
        """Connections in use or kept."""
        return self.counted() + self.places

    def is_full(self) -> bool:
        """Whether one more connection would be too many, even after the spare ones have been closed."""
        while self.held >= self.limit:
            if not any(spare() for spare in self.spares):
                return True
        return False

    @property
    def complaint(self) -> str:
        """What nginx says in the log when there is none."""
        return f"{self.limit} worker_connections are not enough"

    def take(self) -> "Place | None":
        """A place for one more connection; None: there is none."""
        return None if self.is_full() else Place(self)


class Place:
    """One connection that is counted until ``leave``."""

    __slots__ = ("_room",)

    def __init__(self, room: Room) -> None:
        room.places += 1
        self._room: Room | None = room

    def leave(self) -> None:
        """The connection is closed, or counted elsewhere from now on. Idempotent."""
        if self._room is not None:
            self._room.places -= 1
            self._room = None


def _none() -> int:
    return 0
