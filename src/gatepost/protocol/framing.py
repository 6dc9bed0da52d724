"""Cuts a byte stream into lines and counted runs (IMAP literals), within a limit.

**Theory of operation.** A *unit* is what must fit the limit as a whole: a command with all its literals, one SASL
response, one reply of an upstream. Pieces of a unit leave the buffer as they are handed out, but go on counting
until ``done``. A unit of exactly the limit, line end included, fits. It is too long as soon as the limit is
reached without its end, and the verdict never depends on how the stream was cut into ``feed`` calls.

A search for a line end resumes where the last one stopped, so a line that drips in byte by byte is looked at once.
"""


class InvalidCommand(Exception):  # noqa: N818 - names what the client sent
    """The line is no command of its protocol: it is answered as such, thrown away and counted."""


class TooLong(Exception):  # noqa: N818 - an outcome of the stream, not a mistake of the caller
    """The unit does not fit the limit."""


class Framer:
    """Input of one side of one session. Holds at most ``limit`` bytes plus what one ``feed`` brought.

    It empties itself only as the owner asks for pieces; an owner that does not ask must not feed without end.
    """

    __slots__ = ("_data", "_limit", "_searched", "_spent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._searched = 0  # no line end before this offset
        self._spent = 0  # bytes of the present unit that were handed out already

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def line(self) -> bytes | None:
        """The next line with its LF, or None until there is one. Raises TooLong."""
        end = self._data.find(b"\n", self._searched) + 1
        if not end:
            self._searched = len(self._data)
            self._refuse_endless()
            return None
        if self._spent + end > self._limit:
            raise TooLong
        return self._hand_out(end)

    def take(self, size: int) -> bytes | None:
        """The next ``size`` bytes, or None until they are there. Raises TooLong.

        A line has to follow, so ``size`` bytes that reach the limit are too many.
        """
        if len(self._data) < size:
            self._refuse_endless()
            return None
        if self._spent + size >= self._limit:
            raise TooLong
        return self._hand_out(size)

    def drop(self, count: int) -> int:
        """Throw up to ``count`` bytes away, which belong to no unit; how many were there."""
        dropped = min(count, len(self._data))
        del self._data[:dropped]
        self._searched = 0
        return dropped

    def done(self) -> None:
        """The unit is complete; the next piece begins another."""
        self._spent = 0

    def head(self) -> bytes:
        """What is left of the unit inside the limit; for a last look at one that is too long."""
        return bytes(self._data[: max(self._limit - self._spent, 0)])

    def rest(self) -> bytes:
        """All bytes not handed out. Empties the buffer."""
        data = bytes(self._data)
        self.clear()
        return data

    def clear(self) -> None:
        """Forget everything."""
        self._data = bytearray()  # a new one: clearing would keep the old one's memory
        self._searched = 0
        self._spent = 0

    def _refuse_endless(self) -> None:
        # An empty buffer is never too long: there is no byte yet that could be blamed.
        if self._data and self._spent + len(self._data) >= self._limit:
            raise TooLong

    def _hand_out(self, size: int) -> bytes:
        data = self._data
        piece = bytes(data[:size])
        del data[:size]
        self._searched = 0
        self._spent += size
        return piece
