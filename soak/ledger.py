"""The books: every byte that one end sends, and what of it the other end gets.

Theory of operation. Clients and backends live in one process, so the two ends of a session share a ``Record``. What
an end sends is kept until the other has it, and is compared byte by byte as it arrives: more than a hash could say,
and the place of the first wrong byte is known. What is never received is a tail; whether there may be one depends
on how the session has ended. What is kept is bounded by what fits into the sockets of a session.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

MAX_FAILURES = 50  # kept in words; all are counted


class End(Enum):
    """How a session ended for its client. The words are those of the table."""

    WHOLE = "came to their end: every byte arrived, both ways"
    ABORTED = "left by their clients at a random moment"
    KILLED = "were cut by the death of their worker"
    REFUSED = "were not let in while the authentication service was away"
    LOST = "ended as none should"


class Flow:
    """One direction of one session."""

    __slots__ = ("_under_way", "received", "sent")

    def __init__(self) -> None:
        self.sent = 0  # bytes
        self.received = 0
        self._under_way = bytearray()

    def send(self, data: bytes) -> bytes:
        """Enter ``data``, which the caller sends then."""
        self.sent += len(data)
        self._under_way += data
        return data

    def take(self, data: bytes) -> None:
        """Enter what has arrived. Raises ValueError unless it is what comes next."""
        if not self._under_way.startswith(data):
            raise ValueError(f"bytes {self.received} to {self.received + len(data)} are not those that were sent")
        self.received += len(data)
        del self._under_way[: len(data)]

    def close(self) -> int:
        """Nothing more will arrive; how many bytes never did."""
        lost = len(self._under_way)
        self._under_way = bytearray()
        return lost


@dataclass(slots=True, eq=False)
class Record:
    """One session. Times are of the monotonic clock."""

    number: int
    protocol: str
    up: Flow = field(default_factory=Flow)
    down: Flow = field(default_factory=Flow)
    began: float = field(default_factory=time.monotonic)
    is_inside: bool = False  # a backend has taken the login
    has_left: bool = False  # the backend's end is over
    how: End | None = None  # the client's end is over
    worker_died: bool = False  # while it had this session

    @property
    def user(self) -> str:
        return f"s{self.number}@soak.example"


@dataclass(slots=True)
class Ledger:
    """All sessions: those that live, and the sums of those that have ended."""

    live: dict[int, Record] = field(default_factory=dict)
    ends: Counter[End] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    logins: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    lost_bytes: int = 0  # sent into sessions that were cut, and not received
    away_until: float = 0.0  # when the authentication service was there again; infinite while it is away
    _next: int = 0

    def begin(self, protocol: str) -> Record:
        self._next += 1
        record = self.live[self._next] = Record(self._next, protocol)
        return record

    def find(self, user: str, protocol: str) -> Record | None:
        """The session whose login a backend sees; it may have been left already. Each logs in once."""
        name, _, domain = user.partition("@")
        number = int(name[1:]) if name[:1] == "s" and name[1:].isdecimal() and domain == "soak.example" else 0
        if not 0 < number <= self._next:
            self.fail(f"a backend was told of a user {user!r}, whom nobody is")
            return None
        record = self.live.get(number)
        if record is not None:
            if record.is_inside or record.protocol != protocol:
                self.fail(f"{_name(record)} came to a backend for {protocol}, or twice")
            record.is_inside = True
            self.logins += 1
        return record

    def may_be_refused(self, record: Record) -> bool:
        """Whether the authentication service was away at any time since the session began."""
        return self.away_until >= record.began

    def end(self, record: Record, how: End) -> None:
        """The client's end is over."""
        record.how = how
        self._close(record)

    def leave(self, record: Record) -> None:
        """The backend's end is over."""
        record.has_left = True
        self._close(record)

    def _close(self, record: Record) -> None:
        """Once neither end can send or receive any more, there is something to add up."""
        if record.how is None or (record.is_inside and not record.has_left):
            return
        del self.live[record.number]
        self.ends[record.how] += 1
        self.up_bytes += record.up.received
        self.down_bytes += record.down.received
        lost = record.up.close() + record.down.close()
        self.lost_bytes += lost
        if record.how is End.WHOLE and lost:
            self.fail(f"{_name(record)} came to its end and lost {lost} bytes")

    def lose(self, record: Record, why: str) -> None:
        """It ended for its client as no session should."""
        self.fail(f"{_name(record)}: {why}")
        self.end(record, End.LOST)

    def fail(self, text: str) -> None:
        self.failed += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(text)


def _name(record: Record) -> str:
    return f"session {record.number} ({record.protocol}, {time.monotonic() - record.began:.1f} s old)"
