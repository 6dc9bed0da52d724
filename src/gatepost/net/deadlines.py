"""One coarse wheel of deadlines per worker.

Theory of operation. Thousands of sessions each have one deadline that moves whenever bytes flow and almost
never expires. A timer of the loop for each would be started and cancelled at every read. Here a deadline lies
in the bucket of the second in which it was *first* due; moving it later only changes a number. When its bucket
comes up, it either expires or is put into the bucket of its new time. So moving costs nothing, and a sweep looks
only at what may be due.

A session drops its deadline when it ends, and the wheel finds that out when it looks. So no bucket lies further
ahead than ``HORIZON_SECONDS``: with a day of allowed silence, it would keep those of all sessions of a day.

``on_turn`` lets others share the wheel's tick: it is called when the wheel begins to turn, after each sweep, and so
also when it has come to rest (``turning`` is false then). A worker that has nothing to do is not woken for it.

A deadline expires up to two ticks late, three if it was extended, never early. Those shorter than a tick get a
timer of their own.
"""

import asyncio
from collections.abc import Callable
from typing import Final

TICK_SECONDS: Final = 1.0  # mail time-outs are tens of seconds; a second of slack is nothing, a timer per read is
HORIZON_SECONDS: Final = 15  # how long a dropped deadline is kept at most, and how often a distant one is looked at


class Deadlines:
    """The wheel. ``now`` is the loop's time at the last tick, in seconds: cheap to read, at most a tick old."""

    __slots__ = ("_buckets", "_loop", "_next", "now", "on_turn", "turning")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, list[Deadline]] = {}
        self.turning = False
        self.on_turn: Callable[[], None] = _nothing  # must not raise
        self.now = loop.time()
        self._next = int(self.now)

    def add(self, deadline: "Deadline", when: float) -> int:
        """Put ``deadline`` where it will be looked at soon after ``when``; the number of its bucket."""
        if not self.turning:
            self.turning = True
            self.now = self._loop.time()
            self._next = int(self.now)
            self._loop.call_later(TICK_SECONDS, self._tick)
            self.on_turn()
        bucket = max(min(int(when) + 1, int(self.now) + HORIZON_SECONDS), self._next)
        self._buckets.setdefault(bucket, []).append(deadline)
        return bucket

    def _tick(self) -> None:
        self.now = now = self._loop.time()
        try:
            while self._next <= now:
                bucket = self._buckets.get(self._next)
                while bucket:
                    bucket.pop().due(self._next, now)
                self._buckets.pop(self._next, None)
                self._next += 1
        finally:
            # Also after an owner that raised: time must not stand still for the others in the bucket.
            self.turning = bool(self._buckets)
            if self.turning:
                self._loop.call_later(TICK_SECONDS, self._tick)
            self.on_turn()


def _nothing() -> None:
    """Nobody shares the tick."""


class Deadline:
    """One moment by which something must have happened; reusable, one per session.

    ``on_expiry`` is called once per ``set``, from the loop. It must not raise.
    """

    __slots__ = ("_bucket", "_wheel", "_when", "on_expiry")

    def __init__(self, wheel: Deadlines, on_expiry: Callable[[], None]) -> None:
        self._wheel = wheel
        self.on_expiry: Callable[[], None] | None = on_expiry
        self._when = 0.0  # 0: not set
        self._bucket = 0  # where the wheel will look at us; 0: it does not know us

    def set(self, seconds: float) -> None:
        """Expire ``seconds`` from now unless set again or cleared."""
        now = self._wheel._loop.time()
        self._when = when = now + seconds
        if seconds < TICK_SECONDS:
            self._wheel._loop.call_later(seconds, self._exact, when)
        elif not self._bucket or when < self._bucket - 1:
            # Moved closer: listed a second time. The later bucket is no longer ours and is passed over.
            self._bucket = self._wheel.add(self, when)

    def extend(self, seconds: float) -> None:
        """``set`` for the hot path, to move a deadline later."""
        wheel = self._wheel
        self._when = when = wheel.now + TICK_SECONDS + seconds  # the wheel's time is up to a tick old
        if not 0 < self._bucket <= when + 1:
            # One with a timer of its own, which passes it over from now on; the wheel may stand still.
            self._when = when = wheel._loop.time() + seconds
            self._bucket = wheel.add(self, when)

    def clear(self) -> None:
        self._when = 0.0

    def drop(self) -> None:
        """Clear for good and let go of whatever ``on_expiry`` holds."""
        self._when = 0.0
        self.on_expiry = None

    def due(self, bucket: int, now: float) -> None:
        """The wheel looks: expire, or be listed again, or be forgotten."""
        if bucket != self._bucket:
            return
        if self._when > now:
            self._bucket = self._wheel.add(self, self._when)
            return
        self._bucket = 0
        if self._when:
            self._expire()

    def _exact(self, when: float) -> None:
        if self._when == when:
            self._expire()

    def _expire(self) -> None:
        self._when = 0.0
        if self.on_expiry is not None:
            self.on_expiry()
