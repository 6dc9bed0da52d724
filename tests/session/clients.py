"""Clients of a session under test: greeted, in the clear or encrypted, and what they do as a rule."""

import pytest

from tests.wire import Far

from .edge import GREETING, PASSWORD, Backend, Edge

LOGIN = b"a LOGIN joe " + PASSWORD + b"\r\n"
IDLE_SECONDS = 0.05  # how long callbacks are counted; one that spins runs thousands of times
FEW = 30  # callbacks
TIMED_OUT = "timed out (110: Connection timed out)"

hows = pytest.mark.parametrize("how", ["clear", "tls", "starttls"])


def listen(how: str) -> str:
    """Parameters of the listener."""
    return "ssl" if how == "tls" else ""


def mail(backend: Backend | None, how: str = "clear", more: str = "") -> str:
    """Directives of the server, ``more`` besides."""
    where = f"proxy_pass {backend.place};" if backend else ""
    return f"{where} starttls {'on' if how == 'starttls' else 'off'}; {more}"


async def start(edge: Edge, how: str, *, small: bool = False) -> Far:
    """A client that has been greeted, and is encrypted if ``how`` says so (``clear``, ``tls``, ``starttls``)."""
    if how == "clear":
        client, _ = edge.connect(small=small)
        assert await client.read_line() == GREETING
        return client
    secure, _ = edge.connect_tls(small=small)
    if how == "starttls":
        plain = Far(secure.socket)
        assert await plain.read_line() == GREETING
        await plain.write(b"s STARTTLS\r\n")
        assert await plain.read_line() == b"s OK completed\r\n"
    await secure.handshake()
    if how == "tls":
        assert await secure.read_line() == GREETING
    else:
        await secure.write(b"s NOOP\r\n")  # nothing else tells that the server has shaken hands, too
        assert await secure.read_line() == b"s OK completed\r\n"
    return secure


async def answer_of(at: Edge, how: str = "clear") -> bytes:
    """What a client hears to its login, up to the end."""
    client = await start(at, how)
    await client.write(LOGIN)
    answer = await client.read_all()
    client.end()
    await at.over()
    client.close()
    return answer
