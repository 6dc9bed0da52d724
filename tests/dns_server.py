"""A name server for the tests: UDP and TCP on one loopback port. It says whatever the story decides.

Messages are built by hand (RFC 1035 section 4.1), because most of what is tested no library would let one say.
"""

import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

A, CNAME, PTR, AAAA, OPT = 1, 5, 12, 28, 41
FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED, NAME_EXISTS = 1, 2, 3, 4, 5, 6
LIMIT_SECONDS = 30.0

_SELF = b"\xc0\x0c"  # a pointer to the name in the question


@dataclass(frozen=True, slots=True)
class Question:
    """``name`` is in lower case, without a dot at its end; ``section`` is the question as it came."""

    id: bytes
    name: str
    kind: int
    section: bytes
    tcp: bool


def encoded(*labels: bytes) -> bytes:
    """A name on the wire; the labels may hold anything."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def name(text: str) -> bytes:
    return encoded(*text.encode().split(b".")) if text else b"\0"


def record(kind: int, data: bytes, ttl: int = 300, owner: bytes = _SELF) -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def address(text: str, ttl: int = 300, owner: bytes = _SELF) -> bytes:
    parsed = ipaddress.ip_address(text)
    return record(AAAA if parsed.version == 6 else A, parsed.packed, ttl, owner)


def pointer(text: str, ttl: int = 300) -> bytes:
    return record(PTR, name(text), ttl)


def message(question: Question, *records: bytes, code: int = 0, truncated: bool = False) -> bytes:
    """An answer with these records in its answer section."""
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    head = struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    return question.id + head + question.section + b"".join(records)


@dataclass(slots=True)
class Zone:
    """Answers from a table: names of addresses, addresses of names. What is not there does not exist."""

    pointers: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    ttl: int = 300

    def __call__(self, question: Question) -> bytes:
        if question.kind == PTR:
            host = self.pointers.get(question.name)
            return message(question, pointer(host, self.ttl)) if host else message(question, code=NO_SUCH_NAME)
        found = self.addresses.get(question.name)
        if found is None:
            return message(question, code=NO_SUCH_NAME)
        records = [address(text, self.ttl) for text in found if (":" in text) == (question.kind == AAAA)]
        return message(question, *records)


def reverse(text: str) -> str:
    """The name that is asked for the name of the host at an address."""
    return ipaddress.ip_address(text).reverse_pointer


@dataclass(slots=True)
class DnsServer:
    """A running server. ``questions`` grows by one per question; ``decide`` may be exchanged while it runs.

    ``decide`` gives the answer, several datagrams, or None for silence.
    """

    decide: "Callable[[Question], bytes | list[bytes] | None]"
    host: str = "127.0.0.1"
    questions: list[Question] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)  # who asked, of each datagram
    port: int = 0
    _udp: socket.socket = field(init=False)
    _tcp: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        while True:  # until a port is free for both
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._udp.bind((self.host, 0))
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp = socket.create_server((self.host, self.port), family=family)
                break
            except OSError:
                self._udp.close()
        for run in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def place(self) -> str:
        """As an argument of ``resolver``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def asked(self) -> list[tuple[str, int]]:
        """Names and kinds so far, over UDP or TCP."""
        return [(question.name, question.kind) for question in self.questions]

    def close(self) -> None:
        """Stop: questions are refused from now on."""
        with contextlib.suppress(OSError):  # wakes the threads
            self._udp.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        self._udp.close()
        self._tcp.close()

    def send(self, data: bytes, peer: tuple[str, int]) -> None:
        """A datagram out of turn."""
        self._udp.sendto(data, peer)

    def _serve_udp(self) -> None:
        while True:
            try:
                data, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if not data:
                return
            self.peers.append(peer[:2])
            for answer in self._answers(data, tcp=False):
                with contextlib.suppress(OSError):
                    self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(LIMIT_SECONDS)
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                (length,) = struct.unpack("!H", head)
                for answer in self._answers(stream.read(length), tcp=True):
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answers(self, data: bytes, *, tcp: bool) -> list[bytes]:
        labels = []
        at = 12
        while size := data[at]:
            labels.append(data[at + 1 : at + 1 + size].decode("latin-1").lower())
            at += 1 + size
        section = data[12 : at + 5]
        (kind,) = struct.unpack("!H", section[-4:-2])
        question = Question(data[:2], ".".join(labels), kind, section, tcp)
        self.questions.append(question)
        reply = self.decide(question)
        if reply is None:
            return []
        return reply if isinstance(reply, list) else [reply]
