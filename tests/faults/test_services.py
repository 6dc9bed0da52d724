"""Authentication services that are down, hang, drip, break off, talk nonsense or answer out of turn."""

import pytest

from .fault import ANYTHING, DONE, LOGGED_IN, RESET, TIMED_OUT, Fault, Place, of_service
from .peer import (
    Peer,
    Script,
    agrees,
    asked,
    closes,
    drips,
    half_closes,
    pours,
    resets,
    rest_of_login,
    says,
    stays_silent,
    then,
)
from .runner import Performance
from .scene import Scene
from .speech import IMAP, SPEECHES, Speech
from .visitor import Visit, greeted, log_in

HEAD = b"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\n"
MIB = 1024 * 1024

lets_in_and_closes = then(rest_of_login(0), closes)


def agrees_in_the_end(peer: Peer) -> None:
    """The part of the answer that is behind HEAD."""
    peer.say(peer.scene.verdict.partition(b"\r\nAuth-Status: OK\r\n")[2])


def with_body(head: bytes, body: bytes) -> Script:
    """The same with a body: ``head`` are the fields that announce it."""

    def script(peer: Peer) -> None:
        fields, _, _ = peer.scene.verdict.partition(b"Content-Length")
        peer.say(fields + head + b"\r\n\r\n" + body)

    return script


def in_vain(name: str, service: Script | Place, text: str, speech: Speech = IMAP) -> Fault:
    """A row whose client hears of an internal error, and whose log says ``text``."""
    return Fault(
        name=f"{speech.name} {name}",
        speech=speech,
        service=service,
        sees=speech.internal_error,
        log=(of_service(text),),
    )


def tries_again(answer: bytes) -> Visit:
    """A client that is refused with ``answer`` and goes on to log in a second time."""

    def visit(scene: Scene) -> bytes:
        with scene.connect() as client:
            greeted(scene, client)
            log_in(scene, client)
            assert client.line() + b"\r\n" == answer
            log_in(scene, client)
            return client.rest()

    return visit


SILENCE = "auth http server {service} " + TIMED_OUT
CLOSED = "auth http server {service} prematurely closed connection"
TOO_LONG = "auth http server {service} sent too long header"
BAD_LINE = "auth http server {service} sent invalid header in response"
NOWHERE = "auth http server {service} did not send server or port"

IN_VAIN = [
    fault
    for speech in SPEECHES
    for fault in (
        in_vain("down", Place.DOWN, "connect() to {service} failed (111: Connection refused)", speech),
        in_vain("never accepts", Place.DEAF, SILENCE, speech),
        in_vain("silent", then(asked, stays_silent), SILENCE, speech),
        # The question may be on its way meanwhile, and then meets a reset.
        in_vain("closes unasked", closes, ANYTHING, speech),
        in_vain("closes", then(asked, closes), CLOSED, speech),
        in_vain("resets", then(asked, resets), RESET, speech),
        in_vain("garbage", then(asked, says(b"\0\1\2 what?\r\n\r\n"), stays_silent), BAD_LINE, speech),
    )
] + [
    in_vain("silent at first", stays_silent, SILENCE),
    in_vain("silent in the status line", then(asked, says(b"HTTP/1.1 2"), stays_silent), SILENCE),
    in_vain("silent in the head", then(asked, says(HEAD), stays_silent), SILENCE),
    in_vain("drips the status line", then(asked, drips(b"HTTP/1.1 200 O")), SILENCE),
    in_vain("drips the head", then(asked, drips(HEAD + b"X: y")), SILENCE),
    in_vain("closes in the status line", then(asked, says(b"HTTP/1.1 2"), closes), CLOSED),
    in_vain("closes in the head", then(asked, says(HEAD), closes), CLOSED),
    in_vain("half-closes unasked", half_closes, CLOSED),
    in_vain("resets unasked", resets, ANYTHING),
    in_vain("half-closes in the head", then(asked, says(HEAD), half_closes), CLOSED),
    in_vain("resets in the head", then(asked, says(HEAD), resets), RESET),
    in_vain("1 MB in one field", then(asked, says(HEAD + b"X: " + b"y" * MIB), stays_silent), TOO_LONG),
    in_vain("1 MB of fields", then(asked, says(HEAD + b"X: y\r\n" * (MIB // 6)), stays_silent), TOO_LONG),
    in_vain("endless status line", then(asked, pours(b"HTTP/1.1 200 ", b"O")), TOO_LONG),
    in_vain("endless field", then(asked, pours(HEAD, b"X")), TOO_LONG),
    in_vain("endless value", then(asked, pours(HEAD + b"X: ", b"y")), TOO_LONG),
    in_vain("endless fields", then(asked, pours(HEAD, b"X: y\r\n")), TOO_LONG),
    in_vain("endless interim answers", then(asked, pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n")), TOO_LONG),
    in_vain("a page of a web server", then(asked, says(b"<html>\r\n"), stays_silent), BAD_LINE),
    in_vain(
        "not found",
        then(asked, says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), stays_silent),
        NOWHERE + " (HTTP status 404)",
    ),
    in_vain("an empty head", then(asked, says(b"HTTP/1.1 200 OK\r\n\r\n"), stays_silent), NOWHERE),
    in_vain(
        "a name as a server",
        then(asked, says(HEAD + b"Auth-Server: localhost\r\nAuth-Port: 143\r\n\r\n"), stays_silent),
        'auth http server {service} sent invalid server address:"localhost"',
    ),
    in_vain(
        "a line end in a value",
        then(asked, says(HEAD + b"Auth-Server: 127.0.0.1\rAuth-Port: 143\r\n\r\n"), stays_silent),
        BAD_LINE,
    ),
]

# Whatever is wrong behind a complete answer is nobody's trouble, and nobody else's answer.
ALL_THE_SAME = [
    Fault(name=name, service=service, backend=lets_in_and_closes, sees=IMAP.welcome, log=(LOGGED_IN, DONE))
    for name, service in (
        ("answers and closes", then(asked, agrees(), closes)),
        ("answers and resets", then(asked, agrees(), resets)),
        ("answers and half-closes", then(asked, agrees(), half_closes)),
        ("answers and never closes", then(asked, agrees(), stays_silent)),
        ("answers unasked", then(agrees(), stays_silent)),
        ("answers unasked and closes", then(agrees(), asked, closes)),
        ("answers unasked in part", then(says(HEAD), asked, agrees_in_the_end, stays_silent)),
        ("answers twice", then(asked, agrees(b"HTTP/1.1 200 OK\r\nAuth-Status: No\r\n\r\n"), stays_silent)),
        ("body that never ends", then(asked, with_body(b"X: y", b""), pours(b"", b"x"))),
        ("body that never comes", then(asked, with_body(b"Content-Length: 9", b""), stays_silent)),
        ("body that drips", then(asked, with_body(b"Content-Length: 60000", b""), drips(b"x"))),
        ("body in broken chunks", then(asked, with_body(b"Transfer-Encoding: chunked", b"zz\r\n"), stays_silent)),
        ("two lengths", then(asked, with_body(b"Content-Length: 1\r\nContent-Length: 2", b"xx"), stays_silent)),
    )
]

REFUSED = b"HTTP/1.1 200 OK\r\nAuth-Status: No luck\r\nAuth-Wait: 1\r\nContent-Length: 0\r\n\r\n"
NO_LUCK = of_service('client login failed: "No luck"', level="info")


def once_more(name: str, first: Script) -> Fault:
    """``first`` answers REFUSED and then does harm; the question of the second login has to be answered, too."""
    first_time = [True]

    def service(peer: Peer) -> None:
        if first_time:
            first_time.clear()
            first(peer)
        else:
            then(asked, agrees(), stays_silent)(peer)

    return Fault(
        name=name,
        service=service,
        backend=lets_in_and_closes,
        client=tries_again(b"a NO No luck\r\n"),
        sees=IMAP.welcome,
        log=(NO_LUCK, LOGGED_IN, DONE),
    )


# The connection of the first answer is no good for the second question.
REUSED = [
    once_more("closes behind a refusal", then(asked, says(REFUSED), closes)),
    once_more("resets behind a refusal", then(asked, says(REFUSED), resets)),
    once_more("half-closes behind a refusal", then(asked, says(REFUSED), half_closes)),
    once_more("a second answer behind a refusal", then(asked, says(REFUSED + REFUSED), stays_silent)),
    once_more("closes when asked again", then(asked, says(REFUSED), asked, closes)),
    once_more("resets when asked again", then(asked, says(REFUSED), asked, resets)),
]

FAULTS = [*IN_VAIN, *ALL_THE_SAME, *REUSED]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(performance: Performance, fault: Fault) -> None:
    performance.check(fault)


def test_everybody_else(performance: Performance) -> None:
    performance.check_everybody_else()
