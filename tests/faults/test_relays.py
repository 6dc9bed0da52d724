"""What goes wrong after the login: backends and clients that end, reset, fall silent, or do not read."""

import pytest

from tests.functional.line_client import LineClient

from .fault import ANYTHING, DONE, LOGGED_IN, RESET, TIMED_OUT, Fault, of_relay
from .peer import (
    blocks,
    closes,
    half_closes,
    hears,
    meets,
    resets,
    rest_of_login,
    says,
    stays_silent,
    stays_to_the_end,
    then,
)
from .runner import Performance
from .speech import IMAP, SPEECHES
from .visitor import greeted, half_close, leaves, log_in, meet, outlast, poured, said, stays, taken, welcomed

MIB = 1024 * 1024
BEHIND = b"x" * MIB  # the login
WAYS = {"clear": "", "tls": "ssl"}
CLIENT_RESET = {
    "clear": of_relay(RESET, " and reading from client"),
    "tls": of_relay(f"SSL_read() failed (104: Connection reset by peer{ANYTHING}", " and reading from client"),
}
CLIENT_GONE = {
    "clear": of_relay(f"send() failed ({ANYTHING}", " and sending to client"),
    "tls": of_relay(f"SSL_write() failed ({ANYTHING}", " and sending to client"),
}
SILENCE = of_relay(f"client {TIMED_OUT}", "")
inside = (greeted, log_in, welcomed)


def of_backends(way: str) -> list[Fault]:
    return [
        Fault(
            name=f"{way} backend closes",
            listen=WAYS[way],
            backend=then(rest_of_login(0), closes),
            sees=IMAP.welcome,
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} backend closes behind 1 MB",
            listen=WAYS[way],
            backend=then(rest_of_login(0), says(BEHIND), closes),
            sees=IMAP.welcome + BEHIND,
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} backend closes when spoken to",
            listen=WAYS[way],
            backend=then(rest_of_login(0), hears(1), closes),
            client=stays(*inside, said(b"b NOOP\r\n")),
            sees=b"",
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} backend half-closes",
            listen=WAYS[way],
            backend=then(rest_of_login(0), says(b"* BYE\r\n"), half_closes),
            sees=IMAP.welcome + b"* BYE\r\n",
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} backend half-closes and the client stays",
            listen=WAYS[way],
            backend=then(rest_of_login(0), says(b"* BYE\r\n"), half_closes),
            client=stays(*inside, taken(7), outlast),
            sees=b"",
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} backend resets",
            listen=WAYS[way],
            backend=then(rest_of_login(0), hears(1), resets),
            client=stays(*inside, said(b"b NOOP\r\n")),
            sees=b"",
            log=(LOGGED_IN, of_relay(RESET, " and reading from upstream", level="error"), DONE),
        ),
        Fault(
            name=f"{way} backend falls silent",
            listen=WAYS[way],
            backend=then(rest_of_login(0), stays_silent),
            sees=IMAP.welcome,
            log=(LOGGED_IN, SILENCE),
        ),
        Fault(
            name=f"{way} backend does not read",
            listen=WAYS[way],
            backend=then(rest_of_login(0), stays_silent),
            client=stays(*inside, poured(blocks(b"y"))),
            sees=b"",
            log=(LOGGED_IN, SILENCE),
        ),
    ]


def of_clients(way: str) -> list[Fault]:
    return [
        Fault(
            name=f"{way} client closes",
            listen=WAYS[way],
            client=leaves(LineClient.close, *inside),
            sees=b"",
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} client closes with 1 MB unread",
            listen=WAYS[way],
            backend=then(rest_of_login(0), says(BEHIND), meets, stays_to_the_end),
            client=leaves(LineClient.close, *inside, meet),
            sees=b"",
            log=(LOGGED_IN, CLIENT_RESET[way], DONE),
            or_log=(LOGGED_IN, CLIENT_GONE[way]),
        ),
        Fault(
            name=f"{way} client resets",
            listen=WAYS[way],
            client=leaves(LineClient.reset, *inside),
            sees=b"",
            log=(LOGGED_IN, CLIENT_RESET[way], DONE),
        ),
        Fault(
            name=f"{way} client falls silent",
            listen=WAYS[way],
            backend=then(rest_of_login(0), stays_to_the_end),
            client=stays(*inside),
            sees=b"",
            log=(LOGGED_IN, SILENCE),
        ),
        Fault(
            name=f"{way} both close",
            listen=WAYS[way],
            backend=then(rest_of_login(0), meets, closes),
            client=leaves(LineClient.close, *inside, meet),
            sees=b"",
            log=(LOGGED_IN, DONE),
        ),
        Fault(
            name=f"{way} both reset",
            listen=WAYS[way],
            backend=then(rest_of_login(0), meets, resets),
            client=leaves(LineClient.reset, *inside, meet),
            sees=b"",
            # Who is noticed first is told.
            log=(LOGGED_IN, ANYTHING, DONE),
        ),
    ]


HALF_CLOSED = [
    Fault(
        name="answers to a client that has half-closed",
        backend=then(rest_of_login(0), stays_to_the_end, says(BEHIND), closes),
        client=stays(*inside, said(b"b NOOP\r\n"), half_close),
        sees=BEHIND,
        log=(LOGGED_IN, DONE),
    ),
    Fault(
        name="silence to a client that has half-closed",
        backend=then(rest_of_login(0), stays_to_the_end, stays_silent),
        client=stays(*inside, said(b"b NOOP\r\n"), half_close),
        sees=b"",
        log=(LOGGED_IN, DONE),
    ),
    Fault(
        name="reset to a client that has half-closed",
        backend=then(rest_of_login(0), stays_to_the_end, resets),
        client=stays(*inside, said(b"b NOOP\r\n"), half_close),
        sees=b"",
        log=(LOGGED_IN, of_relay(RESET, " and reading from upstream", level="error"), DONE),
    ),
]

IN_OTHER_WORDS = [
    Fault(
        name=f"{speech.name} backend closes",
        speech=speech,
        backend=then(rest_of_login(0), closes),
        sees=speech.welcome,
        log=(LOGGED_IN, DONE),
    )
    for speech in SPEECHES
]

FAULTS = [
    *(fault for way in WAYS for fault in (*of_backends(way), *of_clients(way))),
    *HALF_CLOSED,
    *IN_OTHER_WORDS,
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(performance: Performance, fault: Fault) -> None:
    performance.check(fault)


def test_everybody_else(performance: Performance) -> None:
    performance.check_everybody_else()
