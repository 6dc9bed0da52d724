"""Clients that drip, hang, break off or leave at every stage before the relay."""

import ssl
from collections.abc import Callable

import pytest

from tests.functional.line_client import LineClient

from .fault import (
    ANYTHING,
    DONE,
    LOGGED_IN,
    TIMED_OUT,
    Fault,
    Place,
    Server,
    of_backend,
    of_client,
    of_relay,
    of_service,
)
from .peer import (
    accepts,
    agrees,
    answers,
    asked,
    closes,
    lets_in,
    meets,
    rest_of_login,
    says,
    stays_to_the_end,
    then,
)
from .runner import Performance
from .speech import IMAP, POP3, SMTP, Speech
from .visitor import (
    Step,
    answered,
    dripped,
    greeted,
    half_close,
    leaves,
    log_in,
    meet,
    said,
    start_tls,
    stays,
    to_the_end,
)

CLOSE, RESET = LineClient.close, LineClient.reset
WAYS = {"clear": "", "tls": "ssl"}
MUCH = 32768  # bytes: more than a client may say, and not so much that our last words are lost over it
RESET_BY_PEER = "recv() failed (104: Connection reset by peer)"
SILENT = f"client {TIMED_OUT}"
SAYS_PROXY = "reading PROXY protocol"
SHAKES_HANDS = "SSL handshaking"
PROXIED = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"


def hello() -> bytes:
    """The first flight of a client's handshake."""
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


HELLO = hello()


def silence(speech: Speech) -> list[Fault]:
    """Silence in the middle of what a client says before its login; and dripping, which buys no time."""
    places: dict[str, tuple[Step, ...]] = {"at the greeting": (), "in a command": (said(b"a NO"),)}
    if speech is IMAP:
        places |= {
            "in a literal": (answered(b"a LOGIN {5}\r\n", b"+ OK"), said(b"use")),
            "in a literal that is not announced": (said(b"a LOGIN {5+}\r\nuse"),),
            "before the password": (answered(b"a LOGIN {5}\r\n", b"+ OK"), answered(b"user1 {8}\r\n", b"+ OK")),
            "in PLAIN": (answered(b"a AUTHENTICATE PLAIN\r\n", b"+ "), said(b"AHVz")),
            "in LOGIN": (answered(b"a AUTHENTICATE LOGIN\r\n", b"+ "), answered(b"dXNlcg==\r\n", b"+ ")),
            "behind commands": (answered(b"a NOOP\r\nb CAPABILITY\r\n", b"b OK"),),
        }
    elif speech is POP3:
        places |= {
            "behind the name": (answered(b"USER joe\r\n", b"+OK"),),
            "in PLAIN": (answered(b"AUTH PLAIN\r\n", b"+ "), said(b"AHVz")),
        }
    else:
        places |= {
            "behind EHLO": (answered(b"EHLO me\r\n", b"250 "),),
            "in PLAIN": (answered(b"AUTH PLAIN\r\n", b"334 "), said(b"AHVz")),
        }
    faults = []
    for place, steps in places.items():
        for kind, end in (("silent", ()), ("drips", (dripped(b"A"),))):
            faults.append(
                Fault(
                    name=f"{speech.name} {kind} {place}",
                    speech=speech,
                    client=stays(greeted, *steps, *end),
                    sees=b"",
                    log=(of_client(SILENT),),
                )
            )
    return faults


def departures(speech: Speech) -> list[Fault]:
    """An end at the same places is the client's good right; the log need not know. A reset is told."""
    places: dict[str, tuple[Step, ...]] = {
        "at the greeting": (),
        "in a command": (said(b"a NO"),),
        "in PLAIN": (answered(sasl(speech), prompt(speech)), said(b"AHVz")),
    }
    faults = []
    for place, steps in places.items():
        faults += [
            Fault(
                name=f"{speech.name} closes {place}",
                speech=speech,
                client=leaves(CLOSE, greeted, *steps),
                sees=b"",
                log=(),
            ),
            Fault(
                name=f"{speech.name} half-closes {place}",
                speech=speech,
                client=stays(greeted, *steps, half_close),
                sees=b"",
                log=(),
            ),
            Fault(
                name=f"{speech.name} resets {place}",
                speech=speech,
                client=leaves(RESET, greeted, *steps),
                sees=b"",
                log=(of_client(RESET_BY_PEER),),
            ),
        ]
    return faults


def sasl(speech: Speech) -> bytes:
    return b"a AUTHENTICATE PLAIN\r\n" if speech is IMAP else b"AUTH PLAIN\r\n"


def prompt(speech: Speech) -> bytes:
    return b"334 " if speech is SMTP else b"+ "


# Before the protocol begins --------------------------------------------------------------------------

BROKEN = "broken header: "
PEER_CLOSED = f"peer closed connection in SSL handshake{ANYTHING}"
PROXY_HEADERS = [
    Fault(
        name=f"PROXY header {name}",
        listen="proxy_protocol",
        client=client,
        sees=b"",
        log=(of_client(text, SAYS_PROXY, level=level),),
    )
    for name, client, level, text in (
        ("silent", stays(), "info", SILENT),
        ("silent in it", stays(said(PROXIED[:9])), "info", SILENT),
        ("silent in version 2", stays(said(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c")), "info", SILENT),
        ("drips", stays(dripped(PROXIED[:-2] + b"1")), "info", SILENT),
        ("closes", leaves(CLOSE), "error", BROKEN + '""'),
        ("half-closes in it", stays(said(PROXIED[:9]), half_close), "error", BROKEN + '"PROXY TCP"'),
        ("resets", leaves(RESET), "info", RESET_BY_PEER),
        ("resets in it", leaves(RESET, said(PROXIED[:9])), "info", RESET_BY_PEER),
        ("is none", stays(said(b"a LOGIN joe open-sesame\r\n")), "error", BROKEN + '"a..."'),
        ("has no end", stays(said(b"PROXY UNKNOWN " + b"x" * MUCH)), "error", BROKEN + f'"PROXY{ANYTHING}"'),
    )
]

HANDSHAKES = [
    Fault(name=f"handshake {name}", listen="ssl", client=client, sees=b"", log=(of_client(text, SHAKES_HANDS),))
    for name, client, text in (
        ("silent", stays(below_tls=True), SILENT),
        ("silent in its hello", stays(said(HELLO[:100]), below_tls=True), SILENT),
        ("drips", stays(dripped(HELLO[:-1]), below_tls=True), SILENT),
        ("closes", leaves(CLOSE, below_tls=True), PEER_CLOSED),
        ("closes in its hello", leaves(CLOSE, said(HELLO[:100]), below_tls=True), PEER_CLOSED),
        ("half-closes in its hello", stays(said(HELLO[:100]), half_close, below_tls=True), PEER_CLOSED),
        ("resets", leaves(RESET, below_tls=True), PEER_CLOSED),
        ("resets in its hello", leaves(RESET, said(HELLO[:100]), below_tls=True), PEER_CLOSED),
    )
]

LAST = {IMAP: b"z LOGOUT\r\n", POP3: b"QUIT\r\n", SMTP: b"QUIT\r\n"}
GOODBYE = {IMAP: b"* BYE\r\nz OK completed\r\n", POP3: b"+OK\r\n", SMTP: b"221 2.0.0 Bye\r\n"}


def starttls(speech: Speech) -> list[Fault]:
    """What is said behind STARTTLS in the clear is never obeyed: it is dropped, or the handshake fails over it."""
    command = {IMAP: b"a STARTTLS\r\n", POP3: b"STLS\r\n", SMTP: b"STARTTLS\r\n"}[speech]
    agreed = {IMAP: b"a OK", POP3: b"+OK", SMTP: b"220 "}[speech]
    injected = b"".join(speech.commands("injected"))
    return [
        Fault(
            name=f"{speech.name} STARTTLS {name}",
            speech=speech,
            directives="starttls on;",
            starttls=True,
            client=client,
            sees=sees,
            log=tuple(of_client(text, "in starttls state") for text in texts),
        )
        for name, client, sees, *texts in (
            ("silent", stays(greeted, answered(command, agreed)), b"", SILENT),
            ("drips", stays(greeted, answered(command, agreed), dripped(HELLO[:-1])), b"", SILENT),
            ("closes", leaves(CLOSE, greeted, answered(command, agreed)), b"", PEER_CLOSED),
            (
                "injects",
                stays(greeted, answered(command + injected, agreed), start_tls, said(LAST[speech])),
                GOODBYE[speech],
            ),
            (
                "injects later",
                stays(greeted, answered(command, agreed), said(injected), to_the_end),
                b"",
                f"SSL_do_handshake() failed (SSL: error:{ANYTHING})",
            ),
        )
    ]


DELAYED = [
    Fault(
        name=f"delayed greeting {name}",
        speech=SMTP,
        directives="smtp_greeting_delay 1h;",
        client=client,
        sees=sees,
        log=tuple(of_client(text, "in delay pipelining state") for text in texts),
    )
    for name, client, sees, *texts in (
        ("closes", leaves(CLOSE), b""),
        ("half-closes", stays(half_close), b""),
        ("resets", leaves(RESET), b"", RESET_BY_PEER),
        (
            "talks",
            stays(said(b"EHLO me\r\n")),
            b"503 5.5.0 Improper use of SMTP command pipelining\r\n",
            'client was rejected before greeting: "EHLO me__"',
        ),
    )
]


# Too much --------------------------------------------------------------------------------------------


def too_much(speech: Speech) -> list[Fault]:
    invalid = {IMAP: b"a BAD invalid command\r\n", POP3: b"-ERR invalid command\r\n"}.get(
        speech, b"500 5.5.1 Invalid command\r\n"
    )
    start = b"a NOOP " if speech is IMAP else b"NOOP "
    return [
        Fault(
            name=f"{speech.name} endless command",
            speech=speech,
            client=stays(greeted, said(start + b"x" * MUCH)),
            sees=invalid,
            log=(of_client(f'client sent too long command "{ANYTHING}..."'),),
        ),
        Fault(
            name=f"{speech.name} nothing but errors",
            speech=speech,
            client=stays(greeted, said(b"x\r\n" * (MUCH // 3))),
            sees=invalid.replace(b"a ", b"* ") * 5,
            log=(of_client("client sent too many invalid commands"),),
        ),
    ]


# Gone while we are busy for it -----------------------------------------------------------------------

WAITS = b"HTTP/1.1 200 OK\r\nAuth-Status: No luck\r\nAuth-Wait: 3600\r\nContent-Length: 0\r\n\r\n"
POSTPONES = b"HTTP/1.1 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 3600\r\nContent-Length: 0\r\n\r\n"
NO_LUCK = of_service('client login failed: "No luck"', level="info")
HOWS: dict[str, Callable[[LineClient], None]] = {"closes": CLOSE, "resets": RESET}


def gone(way: str, how: str) -> list[Fault]:
    """The login goes on, as in nginx, but for waiting that somebody has to sit out."""
    # What is said to somebody who is gone fails, and a second line says so.
    call = "send" if way == "clear" else "SSL_write"
    failed = f"{call}() failed (104: Connection reset by peer{ANYTHING}"
    unheard = (f"[info] {failed}",) * (how == "resets")
    served = (LOGGED_IN, of_relay(failed, " and sending to client") if unheard else DONE)
    places: dict[str, tuple[Server, Server, tuple[str, ...]]] = {
        "in an Auth-Wait": (then(asked, says(WAITS), meets), lets_in, (NO_LUCK,)),
        "in a postponed verdict": (then(asked, says(POSTPONES), meets), lets_in, ()),
        "while the service is asked in vain": (
            then(asked, meets, closes),
            lets_in,
            (of_service("auth http server {service} prematurely closed connection"), *unheard),
        ),
        "while a backend does not accept": (
            then(asked, agrees(), meets),
            Place.DEAF,
            (of_backend(f"upstream {TIMED_OUT}", "connecting to upstream", level="info"), *unheard),
        ),
        "while the service is asked": (then(asked, meets, agrees()), lets_in, served),
    }
    for step in range(len(IMAP.replies)):
        backend = then(answers(step), meets, rest_of_login(step), stays_to_the_end)
        places[f"before reply {step} of a backend"] = (accepts, backend, served)
    return [
        Fault(
            name=f"{way} {how} {place}",
            listen=WAYS[way],
            service=service,
            backend=backend,
            client=leaves(HOWS[how], greeted, log_in, meet),
            sees=b"",
            log=log,
        )
        for place, (service, backend, log) in places.items()
    ]


FAULTS = [
    *(fault for speech in (IMAP, POP3, SMTP) for fault in (*silence(speech), *departures(speech))),
    *PROXY_HEADERS,
    *HANDSHAKES,
    *DELAYED,
    *(fault for speech in (IMAP, POP3, SMTP) for fault in (*starttls(speech), *too_much(speech))),
    *(fault for way in WAYS for how in HOWS for fault in gone(way, how)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(performance: Performance, fault: Fault) -> None:
    performance.check(fault)


def test_everybody_else(performance: Performance) -> None:
    performance.check_everybody_else()
