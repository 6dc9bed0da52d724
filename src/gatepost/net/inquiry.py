"""Asking name servers one question, to the answer or the time limit. No memory of earlier answers.

Theory of operation. c-ares speaks DNS: query ids and source ports that cannot be guessed, EDNS, TCP when an answer
was cut, the next server when one refuses or fails, parsing. What it is not asked for is time: every
``REPEAT_SECONDS`` the question goes out again on a channel of its own, to the next server first, and the earlier
ones still listen, so that a slow answer counts. An attempt fails when every server has refused, failed or
talked nonsense; then the question has failed, and no client is kept waiting.

A channel lives for one attempt. A long-lived one keeps answers, without a limit to their number and for as long as
*they* say, and its queries share source ports; making one costs 35 µs.
"""

import asyncio
import errno
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pycares

from gatepost.address import Address

from .host_names import packed
from .room import Place, Room

REPEAT_SECONDS = 5.0  # as in nginx; a datagram that is not answered by then is lost
MAX_ATTEMPTS_OPEN = 4  # earlier ones that still listen; each has a socket or two
_NEVER_SECONDS = 86400.0  # for c-ares, whose clock we do not run

PTR: int = pycares.QUERY_TYPE_PTR
A: int = pycares.QUERY_TYPE_A
AAAA: int = pycares.QUERY_TYPE_AAAA


@dataclass(frozen=True, slots=True)
class Answer:
    """At least one record of the kind asked for: names in presentation form, or packed addresses.

    ``ttl`` is in seconds, the least of them and of the aliases that led there.
    """

    records: tuple[bytes, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer, in nginx's numbers and words: those of RFC 1035 section 4.1.1, and 110."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


FORMAT_ERROR = Failure(1, "Format error")
SERVER_FAILURE = Failure(2, "Server failure")
NOT_FOUND = Failure(3, "Host not found")
TIMED_OUT = Failure(errno.ETIMEDOUT, "Operation timed out")
UNKNOWN = Failure(0, "Unknown error")
NO_ROOM = Failure(errno.ENOBUFS, "worker_connections are not enough")  # ours

_FAILURES = {
    pycares.errno.ARES_EFORMERR: FORMAT_ERROR,
    pycares.errno.ARES_EBADRESP: FORMAT_ERROR,  # the answer's format, not the question's
    pycares.errno.ARES_ESERVFAIL: SERVER_FAILURE,
    pycares.errno.ARES_ECONNREFUSED: SERVER_FAILURE,  # nobody listens there
    pycares.errno.ARES_ENOTFOUND: NOT_FOUND,
    pycares.errno.ARES_ENODATA: NOT_FOUND,  # the name exists, without such records
    pycares.errno.ARES_ENOTIMP: Failure(4, "Unimplemented"),
    pycares.errno.ARES_EREFUSED: Failure(5, "Operation refused"),
}
# Of an attempt that was ended or ran out of c-ares's time; the question goes on.
_NO_OUTCOME = frozenset(
    {pycares.errno.ARES_ECANCELLED, pycares.errno.ARES_EDESTRUCTION, pycares.errno.ARES_ETIMEOUT}
)


class Inquiry:
    """One name and one or several kinds of records. ``run`` it once."""

    __slots__ = (
        "_attempts",
        "_done",
        "_kinds",
        "_loop",
        "_name",
        "_open",
        "_outcomes",
        "_room",
        "_servers",
        "_timer",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        servers: Sequence[Address],
        name: str,
        kinds: Sequence[int],
        first: int,
        room: Room,
    ) -> None:
        """``first``: the position of the server to begin with; any number, counted round ``servers``."""
        self._loop = loop
        self._servers = [str(server) for server in servers]
        self._name = name
        self._kinds = kinds
        self._attempts = first
        self._room = room
        self._outcomes: dict[int, Answer | Failure] = {}
        self._open: list[_Channel] = []
        self._done: asyncio.Future[None] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, limit_seconds: float) -> list[Answer | Failure]:
        """The outcome for each kind, in their order."""
        limit = self._loop.call_later(limit_seconds, self._expire)
        try:
            self._attempt()
            await self._done
        finally:
            limit.cancel()
            if self._timer is not None:
                self._timer.cancel()
            for channel in self._open:
                channel.close()
        return [self._outcomes.get(kind, TIMED_OUT) for kind in self._kinds]

    def _attempt(self) -> None:
        self._timer = self._loop.call_later(REPEAT_SECONDS, self._attempt)
        if len(self._open) == MAX_ATTEMPTS_OPEN:
            self._open.pop(0).close()
        place = self._room.take()
        if place is None:
            if not self._open:  # else the earlier ones still listen
                for kind in self._kinds:
                    self._outcomes.setdefault(kind, NO_ROOM)
                self._expire()
            return
        first = self._attempts % len(self._servers)
        self._attempts += 1
        channel = _Channel(self._loop, self._servers[first:] + self._servers[:first], place)
        self._open.append(channel)
        for kind in self._kinds:
            if kind not in self._outcomes:
                try:
                    channel.ask(self._name, kind, partial(self._finished, kind))
                except pycares.AresError as error:
                    self._finished(kind, None, error.args[0])

    def _expire(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _finished(self, kind: int, result: "pycares.DNSResult | None", code: int | None) -> None:
        """Called by c-ares, in whose callbacks nothing may be raised and no channel ended."""
        if self._done.done() or kind in self._outcomes or code in _NO_OUTCOME:
            return
        if code is None and result is not None:
            self._outcomes[kind] = _answer(kind, result)
        else:
            self._outcomes[kind] = _FAILURES.get(code or 0, UNKNOWN)
        if len(self._outcomes) == len(self._kinds):
            self._done.set_result(None)


def _answer(kind: int, result: pycares.DNSResult) -> Answer | Failure:
    """The records of ``kind``. Aliases may lead there; whom they belong to is the name server's word."""
    records = []
    ttl = None
    for record in result.answer:
        data = record.data
        if record.type != kind:
            if not isinstance(data, pycares.CNAMERecordData):
                continue
        elif isinstance(data, pycares.PTRRecordData):
            records.append(_bytes(data.dname))
        elif isinstance(data, pycares.ARecordData | pycares.AAAARecordData):
            records.append(packed(data.addr))
        ttl = record.ttl if ttl is None else min(ttl, record.ttl)
    if records and ttl is not None:
        return Answer(tuple(records), ttl)
    # c-ares itself reports NOERROR without records; an answer with nothing in it had one of the rare result codes.
    return NOT_FOUND if result.answer else UNKNOWN


def _bytes(name: str | bytes) -> bytes:
    """pycares gives names as text where they are ASCII, which presentation form is."""
    return name.encode("ascii") if isinstance(name, str) else name


class _Channel:
    """c-ares on our loop: it says which sockets to watch, we say when they are ready. Closed once."""

    __slots__ = ("_channel", "_loop", "_place", "_reading", "_writing")

    def __init__(self, loop: asyncio.AbstractEventLoop, servers: list[str], place: Place) -> None:
        self._loop = loop
        self._place = place
        self._reading: set[int] = set()
        self._writing: set[int] = set()
        self._channel: pycares.Channel | None = pycares.Channel(
            # Nothing of this machine may change what is asked: no search list, no aliases, no hosts file.
            flags=pycares.ARES_FLAG_EDNS | pycares.ARES_FLAG_NOSEARCH | pycares.ARES_FLAG_NOALIASES,
            lookups="b",
            resolvconf_path="/dev/null",
            timeout=_NEVER_SECONDS,
            tries=1,
            sock_state_cb=self._watch,
            servers=servers,
        )

    def ask(self, name: str, kind: int, callback: "partial[None]") -> None:
        """``callback`` gets (result, None) or (None, code), perhaps at once. Raises pycares.AresError."""
        assert self._channel is not None
        self._channel.query(name, kind, callback=callback)

    def _watch(self, fd: int, readable: bool, writable: bool) -> None:
        """Called by c-ares; after ``close`` from another thread, in which channels are taken apart."""
        channel = self._channel
        if channel is None:
            return
        if readable and fd not in self._reading:
            self._reading.add(fd)
            self._loop.add_reader(fd, channel.process_fd, fd, pycares.ARES_SOCKET_BAD)
        elif not readable and fd in self._reading:
            self._reading.remove(fd)
            self._loop.remove_reader(fd)
        if writable and fd not in self._writing:
            self._writing.add(fd)
            self._loop.add_writer(fd, channel.process_fd, pycares.ARES_SOCKET_BAD, fd)
        elif not writable and fd in self._writing:
            self._writing.remove(fd)
            self._loop.remove_writer(fd)

    def close(self) -> None:
        """End what is under way. Not to be called by c-ares."""
        channel = self._channel
        if channel is None:
            return
        self._place.leave()
        channel.cancel()
        for fd in self._reading:
            self._loop.remove_reader(fd)
        for fd in self._writing:
            self._loop.remove_writer(fd)
        self._channel = None
        channel.close()
