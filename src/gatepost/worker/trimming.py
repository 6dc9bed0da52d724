"""Memory of clients that have left goes back to the system.

Theory of operation. The C library keeps what is freed below something that lives: after a crowd has left, a worker
would own as much memory as it had for the crowd, for as long as it lives. So a worker that serves half as many
clients as it did asks the library to give back the pages that are free wherever they lie. After a thousand clients
with TLS these are a third of the worker. It takes up to some tens of milliseconds in which nobody is served, so
it is done rarely and only where there is something to gain. The wheel of deadlines tells the time: it turns for
some seconds after the last session, and does not turn for this alone.
"""

from collections.abc import Callable

from gatepost.libc import trim_heap
from gatepost.session.endpoint import Host

LEAST_CLIENTS = 64  # of the crowd: fewer never had a megabyte
PAUSE_SECONDS = 30.0  # between two times: a thousandth of that, which one takes, is nothing


class Trimming:
    """When a worker gives memory back; ``trim`` does it."""

    def __init__(self, host: Host, trim: Callable[[], None] = trim_heap) -> None:
        self._host = host
        self._trim = trim
        self._peak = 0  # clients at a time since memory was given back
        self._not_before = 0.0  # on the loop's clock
        self._waiting = False  # a timer of ours runs
        self._before: Callable[[], None] = _nothing

    def begin(self) -> None:
        """Share the wheel's tick with whoever has it."""
        wheel = self._host.wheel
        self._before, wheel.on_turn = wheel.on_turn, self._turn

    def _turn(self) -> None:
        self._before()
        self._look()

    def _look(self) -> None:
        count = self._host.count
        self._peak = max(self._peak, count)
        if self._peak < LEAST_CLIENTS or count > self._peak / 2 or self._waiting:
            return
        loop = self._host.loop
        now = loop.time()
        if now < self._not_before:
            # The wheel may have come to rest by then.
            self._waiting = True
            loop.call_later(self._not_before - now, self._look_again)
            return
        self._not_before = now + PAUSE_SECONDS
        self._peak = count
        self._trim()

    def _look_again(self) -> None:
        self._waiting = False
        self._look()


def _nothing() -> None:
    """Nobody else wanted to know."""
