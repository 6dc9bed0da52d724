"""Waiting without futures and tasks: what a coroutine waits for resumes it directly.

Theory of operation. A task that waits makes a future, and is resumed by way of the loop's queue: two objects and
one more turn for each wait, of which a login has a dozen. A ``Waitable`` can be waited for again and again, by one
waiter at a time; when it wakes, a coroutine that is driven by ``Run`` goes on in the same call.

It keeps the protocol of ``asyncio``'s futures as far as a task needs it, so a task can wait for it, too. And
``Run`` takes futures: whatever is not on the way of every login is written with ``asyncio`` as usual. Only what
asks for the present task (``asyncio.timeout``, and ``sleep(0)``) needs a task of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any


class Waitable:
    """Something that one coroutine at a time waits for. ``wake`` ends the wait; ``fail`` raises in it."""

    __slots__ = ("_asyncio_future_blocking", "_failure", "_loop", "_resume")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._resume: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._asyncio_future_blocking = False

    def __await__(self) -> Generator["Waitable", None, None]:
        if self._failure is None:
            self._asyncio_future_blocking = True
            yield self
        error = self._failure
        if error is not None:
            self._failure = None
            try:
                raise error
            finally:
                # Its traceback leads back here: a ring that only a collector would open, with all that waited.
                error = None

    @property
    def is_awaited(self) -> bool:
        return self._resume is not None

    def wake(self) -> None:
        """Let whoever waits go on, now."""
        resume = self._resume
        if resume is not None:
            self._resume = None
            resume()

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` in whoever waits, or in the next one who would."""
        self._failure = error
        self.wake()

    def forgive(self) -> None:
        """Take a ``fail`` back that nobody has seen yet: what it was about is over."""
        self._failure = None

    def resume_with(self, resume: Callable[[], None] | None) -> None:
        """Whom to call at the next ``wake``; None: nobody."""
        self._asyncio_future_blocking = False
        self._resume = resume

    # As a task sees it

    def add_done_callback(self, callback: "Callable[[Waitable], Any]", *, context: Context | None = None) -> None:
        self._resume = lambda: self._schedule(callback, context)

    def _schedule(self, callback: "Callable[[Waitable], Any]", context: Context | None) -> None:
        self._loop.call_soon(callback, self, context=context)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def result(self) -> None:
        """A task asks before it goes on; the failure is raised where the wait is."""

    def cancel(self, msg: object = None) -> bool:
        """The task that waits is cancelled."""
        if self._resume is None:
            return False
        self.fail(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return True


class Run:
    """Drives one coroutine, without a task. Of exceptions it may let none out but ``CancelledError``."""

    __slots__ = ("_coroutine", "_loop", "_waited")

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, None, None]) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._waited: Any = None

    def step(self, done: object = None) -> None:
        """Go on until the next wait, or to the end. ``done``: the future that says so."""
        if done is not None and done is not self._waited:
            return  # it was done, and its word on the way through the loop, when we were cancelled
        try:
            waited = self._coroutine.send(None)
        except (StopIteration, asyncio.CancelledError):
            self._waited = None
            return
        self._wait_for(waited)

    def cancel(self) -> None:
        """Raise ``CancelledError`` where it waits; nothing once it has ended. Not to be called by itself."""
        waited = self._waited
        if waited is None:
            return
        if isinstance(waited, Waitable):
            waited.resume_with(None)
        else:
            waited.remove_done_callback(self.step)
            waited.cancel()
        try:
            waited = self._coroutine.throw(asyncio.CancelledError())
        except (StopIteration, asyncio.CancelledError):
            self._waited = None
            return
        self._wait_for(waited)

    def _wait_for(self, waited: Any) -> None:
        self._waited = waited
        if isinstance(waited, Waitable):
            waited.resume_with(self.step)
        else:
            waited._asyncio_future_blocking = False
            waited.add_done_callback(self.step)
