"""Look-ups that share their answers: what is known is not asked again, and what is being asked is asked once.

Bounded: an entry is kept for the seconds its answer came with, and of too many the oldest goes first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_ENTRIES = 4096  # per kind of question, server settings and worker; some megabytes if each is as large as can be


class Lookups(Generic[K, V]):
    """Answers by question. Owns the tasks of questions under way.

    ``fetch`` finds the answer to a question and for how many seconds it may be kept (0: not at all). It must come
    to an end by itself: whoever waits for it may have gone.
    """

    __slots__ = ("_fetch", "_known", "_loop", "_max_entries", "_open")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fetch: Callable[[K], Awaitable[tuple[V, float]]],
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._loop = loop
        self._fetch = fetch
        self._max_entries = max_entries
        self._known: dict[K, tuple[float, V]] = {}  # with the loop's time of expiry, oldest entry first
        self._open: dict[K, asyncio.Task[V]] = {}

    async def find(self, key: K) -> V:
        """The answer. Cancelling this ends only the wait, not the look-up: others may wait for it, too."""
        known = self._known.get(key)
        if known is not None:
            if known[0] > self._loop.time():
                return known[1]
            del self._known[key]
        task = self._open.get(key)
        if task is None:
            task = self._open[key] = self._loop.create_task(self._ask(key))
        return await asyncio.shield(task)

    async def _ask(self, key: K) -> V:
        try:
            value, seconds = await self._fetch(key)
        finally:
            del self._open[key]
        if seconds > 0:
            while len(self._known) >= self._max_entries:
                del self._known[next(iter(self._known))]
            self._known[key] = (self._loop.time() + seconds, value)
        return value
