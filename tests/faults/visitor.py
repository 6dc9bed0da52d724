"""Clients, well-behaved and not: visits that are put together from steps."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tests.functional.line_client import LineClient
from tests.functional.waiting import LIMIT_SECONDS

from .peer import DRIP_SECONDS

if TYPE_CHECKING:
    from .scene import Scene

Visit = Callable[["Scene"], bytes]  # what a client does; returns what it got
Step = Callable[["Scene", LineClient], object]


def logs_in(scene: "Scene") -> bytes:
    """The one that behaves well: it logs in and stays to the end."""
    with scene.connect() as client:
        greeted(scene, client)
        log_in(scene, client)
        return client.rest()


# Visits ----------------------------------------------------------------------------------------------


def stays(*steps: Step, below_tls: bool = False) -> Visit:
    """Take ``steps`` and then wait for the end of the connection. The visit gets what came behind them.

    ``below_tls``: on the bare connection, wherever the listener speaks TLS.
    """

    def visit(scene: "Scene") -> bytes:
        with scene.connect(below_tls=below_tls) as client:
            for step in steps:
                step(scene, client)
            scene.reach()
            return client.rest()

    return visit


def leaves(how: Callable[[LineClient], None], *steps: Step, below_tls: bool = False) -> Visit:
    """Take ``steps`` and then leave without looking back."""

    def visit(scene: "Scene") -> bytes:
        with scene.connect(below_tls=below_tls) as client:
            for step in steps:
                step(scene, client)
            scene.reach()
            how(client)
            scene.left.set()
        return b""

    return visit


# Steps -----------------------------------------------------------------------------------------------


def greeted(_scene: "Scene", client: LineClient) -> None:
    client.line()


def start_tls(scene: "Scene", client: LineClient) -> None:
    scene.start_tls(client)


def log_in(scene: "Scene", client: LineClient) -> None:
    """Say all that is needed up to the authentication, whose outcome is not waited for."""
    speech = scene.fault.speech
    *before, last = speech.commands(scene.fault.user)
    for command in before:
        client.send(command)
        client.upto(speech.agreed)
    client.send(last)


def welcomed(scene: "Scene", client: LineClient) -> None:
    """Hear that the login has succeeded."""
    assert client.line() + b"\r\n" == scene.fault.speech.welcome


def meet(scene: "Scene", _client: LineClient) -> None:
    """Wait until a server has come so far (``peer.meets``)."""
    assert scene.met.wait(LIMIT_SECONDS)


def said(data: bytes) -> Step:
    return lambda _, client: client.send(data)


def answered(data: bytes, start: bytes) -> Step:
    """Say ``data`` and hear all up to a line that begins with ``start``."""

    def step(_scene: "Scene", client: LineClient) -> None:
        client.send(data)
        client.upto(start)

    return step


def taken(count: int) -> Step:
    """Hear so many bytes."""
    return lambda _, client: client.take(count)


def outlast(scene: "Scene", _client: LineClient) -> None:
    """Stay, without closing, until the session is over."""
    scene.reach()
    scene.wait_for_log("proxied session done")


def to_the_end(_scene: "Scene", client: LineClient) -> None:
    """Hear all the rest, whatever it is."""
    client.rest()


def half_close(_scene: "Scene", client: LineClient) -> None:
    client.half_close()


def dripped(data: bytes) -> Step:
    """Say ``data`` and then its last byte again and again, one byte at a time, until nobody listens."""

    def step(scene: "Scene", client: LineClient) -> None:
        scene.reach()
        sent = 0
        try:
            while True:
                client.send(data[sent : sent + 1] or data[-1:])
                sent += 1
                scene.pause(DRIP_SECONDS)
        except OSError:
            return

    return step


def poured(pieces: Iterable[bytes]) -> Step:
    """Say all of ``pieces``, or as many as are taken."""

    def step(scene: "Scene", client: LineClient) -> None:
        scene.reach()
        try:
            for piece in pieces:
                client.send(piece)
        except OSError:
            return

    return step
