"""Which descriptors are ready: one epoll descriptor of the worker's own, which the loop watches as a whole.

Theory of operation. ``loop.add_reader`` costs six system calls for each descriptor (uvloop tries every one out,
and takes it out again more than once), and an object, a context and a turn of the loop for each event. Here a
descriptor is added once, stays as it is while nothing changes, and is forgotten by closing it; what is ready is
called straight from one callback of the loop, all of it in one turn.

Events are level-triggered: what is not read now is told again. So nobody has to read until the kernel has nothing
more, and a callback that finds nothing, because another one of the same turn has been faster, waits on.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final, TypeAlias

Callback: TypeAlias = Callable[[int], object]

# The other side sends no more, or the socket is broken.
ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS_AT_ONCE: Final = 1024  # of one turn; the rest is told in the next

_READ: Final = select.EPOLLIN | select.EPOLLRDHUP
_WRITE: Final = select.EPOLLOUT
_READABLE: Final = _READ | select.EPOLLHUP | select.EPOLLERR
_WRITABLE: Final = _WRITE | select.EPOLLHUP | select.EPOLLERR


class Poller:
    """Calls back with the events of a descriptor (``EPOLLIN`` and so on) whenever it is ready.

    One callback for reading and one for writing for each descriptor. Owns its epoll descriptor until ``close``,
    which must come before the loop is closed.
    """

    __slots__ = ("_epoll", "_masks", "_readers", "_writers", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._epoll = select.epoll()
        self._masks: dict[int, int] = {}  # what the kernel watches for
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        loop.add_reader(self._epoll.fileno(), self._dispatch)

    def watch_reading(self, fd: int, callback: Callback) -> None:
        """Call ``callback`` whenever ``fd`` is readable or at its end, instead of whoever is called now."""
        if fd not in self._readers:
            self._set(fd, self._masks.get(fd, 0) | _READ)
        self._readers[fd] = callback

    def watch_writing(self, fd: int, callback: Callback) -> None:
        """Call ``callback`` whenever ``fd`` takes bytes or is broken, instead of whoever is called now."""
        if fd not in self._writers:
            self._set(fd, self._masks.get(fd, 0) | _WRITE)
        self._writers[fd] = callback

    def ignore_reading(self, fd: int) -> None:
        """Idempotent."""
        if self._readers.pop(fd, None) is not None:
            self._set(fd, self._masks[fd] & _WRITE)

    def ignore_writing(self, fd: int) -> None:
        """Idempotent."""
        if self._writers.pop(fd, None) is not None:
            self._set(fd, self._masks[fd] & _READ)

    def forget(self, fd: int) -> None:
        """``fd`` is about to be closed, which takes it out of the kernel's set. Idempotent."""
        self._masks.pop(fd, None)
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)

    def close(self) -> None:
        """Watch nothing any more. Idempotent."""
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _set(self, fd: int, mask: int) -> None:
        known = self._masks.get(fd)
        if not mask:
            # Without interest a broken socket would still be told of, again and again.
            self._epoll.unregister(fd)
            del self._masks[fd]
            return
        if known is None:
            self._epoll.register(fd, mask)
        else:
            self._epoll.modify(fd, mask)
        self._masks[fd] = mask

    def _dispatch(self) -> None:
        readers, writers = self._readers, self._writers
        for fd, events in self._epoll.poll(0, EVENTS_AT_ONCE):
            try:
                if events & _READABLE:
                    callback = readers.get(fd)
                    if callback is not None:
                        callback(events)
                if events & _WRITABLE:
                    callback = writers.get(fd)
                    if callback is not None:
                        callback(events)
            except Exception as error:  # noqa: BLE001 - a bug that one descriptor meets must not reach the others
                self.loop.call_exception_handler(
                    {"message": f"callback of descriptor {fd} failed", "exception": error}
                )
