"""Services and backends, well-behaved and not: scripts that are put together from steps."""

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import TYPE_CHECKING

from tests.functional.auth_service import question
from tests.functional.line_client import LineClient
from tests.functional.waiting import LIMIT_SECONDS

if TYPE_CHECKING:
    from .scene import Scene

DRIP_SECONDS = 0.02  # between two bytes of somebody slow: many fit into the shortest time limit
MAX_POURED_BYTES = 64 * 1024 * 1024  # far more than any limit of ours, and than the kernel takes for us


class Peer:
    """A server's end of one connection from the daemon, on the stage of ``scene``."""

    def __init__(self, conversation: LineClient, scene: "Scene") -> None:
        self.line = conversation
        self.scene = scene

    def say(self, data: bytes) -> None:
        self.line.send(data)

    def hold(self) -> None:
        """Fall silent until the end of the scene."""
        self.scene.reach()
        self.scene.wait_for_end()


Script = Callable[[Peer], None]


# Well-behaved ones -----------------------------------------------------------------------------------


def accepts(peer: Peer) -> None:
    """A service that sends everybody to the backend of the scene."""
    while True:
        question(peer.line)
        peer.say(peer.scene.verdict)


def lets_in(peer: Peer) -> None:
    """A backend that lets everybody in and then repeats what it hears."""
    rest_of_login(0)(peer)
    while True:
        peer.say(peer.line.line() + b"\r\n")


# Steps of a dialogue ---------------------------------------------------------------------------------


def rest_of_login(first: int, count: int | None = None) -> Script:
    """A backend from its reply number ``first`` (from 0) to before number ``count``, or to the end of the login.

    It hears what we say to each reply but the last.
    """

    def script(peer: Peer) -> None:
        replies = peer.scene.fault.speech.replies
        for number in range(first, len(replies) if count is None else count):
            peer.say(replies[number])
            if number + 1 < len(replies):
                peer.line.line()

    return script


def answers(count: int) -> Script:
    """A backend up to the point where its reply number ``count``, from 0, is waited for."""
    return rest_of_login(0, count)


def hears(count: int) -> Script:
    """A backend that waits for so many lines."""

    def script(peer: Peer) -> None:
        for _ in range(count):
            peer.line.line()

    return script


def asked(peer: Peer) -> None:
    """A service up to the point where its answer is waited for."""
    question(peer.line)


def silent_start(_peer: Peer) -> None:
    """A server that has accepted a connection and neither heard nor said anything."""


def then(*steps: Script) -> Script:
    """One step after the other."""

    def script(peer: Peer) -> None:
        for step in steps:
            step(peer)

    return script


# Misbehaviour ----------------------------------------------------------------------------------------


def stays_silent(peer: Peer) -> None:
    peer.hold()


def closes(peer: Peer) -> None:
    peer.scene.reach()


def resets(peer: Peer) -> None:
    peer.scene.reach()
    peer.line.reset()


def meets(peer: Peer) -> None:
    """Wait until the client, which waits for this, has left (``visitor.leaves``)."""
    peer.scene.met.set()
    peer.scene.left.wait(LIMIT_SECONDS)


def half_closes(peer: Peer) -> None:
    peer.line.half_close()
    peer.hold()


def says(data: bytes) -> Script:
    """Say ``data`` and go on, if only to fall silent."""
    return lambda peer: peer.say(data)


def agrees(end: bytes = b"") -> Script:
    """A service that lets in, with ``end`` behind its answer."""
    return lambda peer: peer.say(peer.scene.verdict + end)


def stays_to_the_end(peer: Peer) -> None:
    """Wait for the other side to close."""
    peer.line.rest()


def drips(data: bytes) -> Script:
    """Say ``data`` and then its last byte again and again, one byte at a time, until nobody listens."""

    def script(peer: Peer) -> None:
        peer.scene.reach()
        for byte in data:
            peer.say(bytes([byte]))
            peer.scene.pause(DRIP_SECONDS)
        while True:
            peer.say(data[-1:])
            peer.scene.pause(DRIP_SECONDS)

    return script


def pours(start: bytes, piece: bytes) -> Script:
    """Say ``start`` and then ``piece`` again and again, until nobody listens."""

    def script(peer: Peer) -> None:
        peer.scene.reach()
        peer.say(start)
        for block in blocks(piece):
            peer.say(block)

    return script


def blocks(piece: bytes) -> Iterable[bytes]:
    block = piece * max(1, 65536 // len(piece))
    return repeat(block, MAX_POURED_BYTES // len(block))
