"""Backends that are down, hang, drip, break off or talk nonsense before the login is done."""

import pytest

from gatepost.log import quoted

from .fault import ANYTHING, DONE, LOGGED_IN, RESET, TIMED_OUT, Fault, Place, of_backend
from .peer import (
    answers,
    closes,
    drips,
    half_closes,
    hears,
    pours,
    resets,
    rest_of_login,
    says,
    stays_silent,
    then,
)
from .runner import Performance
from .speech import IMAP, MX, POP3, READING, SMTP, SPEECHES, Speech

GARBAGE = b"\0\1\2 what?\r\n"


def at_each_step(speech: Speech) -> list[Fault]:
    """What can go wrong wherever a reply is waited for."""
    faults = []
    for step, doing in enumerate(speech.doing):
        reply = speech.replies[step]
        faults += [
            Fault(
                name=f"{speech.name} silent at {step}",
                speech=speech,
                backend=then(answers(step), stays_silent),
                sees=speech.internal_error,
                log=(of_backend(f"upstream {TIMED_OUT}", doing, level="info"),),
            ),
            Fault(
                name=f"{speech.name} drips at {step}",
                speech=speech,
                backend=then(answers(step), drips(speech.unfinished)),
                sees=speech.internal_error,
                log=(of_backend(f"upstream {TIMED_OUT}", READING, level="info"),),
            ),
            Fault(
                name=f"{speech.name} closes at {step}",
                speech=speech,
                backend=then(answers(step), closes),
                sees=speech.internal_error,
                log=(of_backend("upstream closed the connection before the login was complete"),),
            ),
            Fault(
                name=f"{speech.name} closes in reply {step}",
                speech=speech,
                backend=then(answers(step), says(reply[:-1]), closes),
                sees=speech.internal_error,
                log=(of_backend("upstream closed the connection before the login was complete"),),
            ),
            Fault(
                name=f"{speech.name} resets at {step}",
                speech=speech,
                backend=then(answers(step), resets),
                sees=speech.internal_error,
                log=(of_backend(RESET),),
            ),
            Fault(
                name=f"{speech.name} endless line at {step}",
                speech=speech,
                backend=then(answers(step), pours(speech.unfinished, b"x")),
                sees=speech.internal_error,
                log=(
                    of_backend(
                        f'upstream sent too long response line: "{speech.unfinished.decode()}x{ANYTHING}..."'
                    ),
                ),
            ),
        ]
    return faults


def wrong_at_each_step(speech: Speech) -> list[Fault]:
    """Whole replies that let nobody in. To a recipient any answer is good."""
    faults = []
    for step in range(len(speech.replies) - (speech is MX)):
        for name, said, shown in (
            ("refuses", speech.no, shown_no(speech, step)),
            ("garbage", GARBAGE, r"\x00\x01\x02 what?"),
        ):
            faults.append(
                Fault(
                    name=f"{speech.name} {name} at {step}",
                    speech=speech,
                    backend=then(answers(step), says(said), stays_silent),
                    sees=speech.internal_error,
                    log=(of_backend(f'upstream sent invalid response: "{shown}"'),),
                )
            )
        faults.append(
            Fault(
                name=f"{speech.name} refuses aloud at {step}",
                speech=speech,
                directives="proxy_pass_error_message on;",
                backend=then(answers(step), says(speech.no), stays_silent),
                sees=speech.no,
                log=(of_backend(f'upstream sent invalid response: "{shown_no(speech, step)}"', level="info"),),
            )
        )
    return faults


def shown_no(speech: Speech, step: int) -> str:
    """A refusal in the log: the verdict is shown without the tag, which is ours."""
    said = speech.no.removesuffix(b"\r\n")
    return quoted(said.removeprefix(b"a ") if step == len(speech.replies) - 1 else said)


def nowhere(speech: Speech) -> list[Fault]:
    return [
        Fault(
            name=f"{speech.name} down",
            speech=speech,
            backend=Place.DOWN,
            sees=speech.internal_error,
            log=(of_backend("recv() failed (111: Connection refused)"),),
        ),
        Fault(
            name=f"{speech.name} never accepts",
            speech=speech,
            backend=Place.DEAF,
            sees=speech.internal_error,
            log=(of_backend(f"upstream {TIMED_OUT}", "connecting to upstream", level="info"),),
        ),
        Fault(
            name=f"{speech.name} half-closes without a word",
            speech=speech,
            backend=half_closes,
            sees=speech.internal_error,
            log=(of_backend("upstream closed the connection before the login was complete"),),
        ),
    ]


LINES = 10_000  # in one reply, where one has some

# Replies are taken one by one, whenever they come: a backend that answers before it is asked is let go on, and what
# comes behind its last reply is the client's.
OUT_OF_TURN = [
    Fault(
        name="imap 10000 untagged lines before the verdict",
        backend=then(answers(3), says(b"* 1 EXISTS\r\n" * LINES), stays_silent),
        sees=IMAP.internal_error,
        log=(of_backend(f'upstream sent too long response line: "* 1 EXISTS\\x0D\\x0A{ANYTHING}..."'),),
    ),
    Fault(
        name="imap 10000 untagged lines before a continuation",
        backend=then(answers(1), says(b"* 1 EXISTS\r\n" * LINES), stays_silent),
        sees=IMAP.internal_error,
        log=(of_backend(f'upstream sent too long response line: "* 1 EXISTS\\x0D\\x0A{ANYTHING}..."'),),
    ),
    Fault(
        name="smtp 10000 lines of a greeting",
        speech=SMTP,
        backend=then(says(b"220-and so on\r\n" * LINES), stays_silent),
        sees=SMTP.internal_error,
        log=(of_backend(f'upstream sent too long response line: "220-and so on\\x0D\\x0A{ANYTHING}..."'),),
    ),
    Fault(
        name="smtp 10000 lines of capabilities",
        speech=SMTP,
        backend=then(answers(1), says(b"250-AND SO ON\r\n" * LINES), stays_silent),
        sees=SMTP.internal_error,
        log=(of_backend(f'upstream sent too long response line: "250-AND SO ON\\x0D\\x0A{ANYTHING}..."'),),
    ),
    Fault(
        name="imap greets twice",
        backend=then(says(IMAP.replies[0]), rest_of_login(0), closes),
        sees=IMAP.welcome,
        log=(LOGGED_IN, DONE),
    ),
    Fault(
        name="imap asks for the user twice",
        backend=then(answers(1), says(IMAP.replies[1] * 2), rest_of_login(2), stays_silent),
        sees=IMAP.internal_error,
        log=(of_backend('upstream sent invalid response: "+ password"'),),
    ),
    Fault(
        name="pop3 greets twice",
        speech=POP3,
        backend=then(says(POP3.replies[0] * 2), hears(2), says(POP3.replies[1] + POP3.replies[2]), closes),
        sees=b"+OK user\r\n+OK in\r\n",
        log=(LOGGED_IN, DONE),
    ),
    Fault(
        name="smtp greets twice",
        speech=SMTP,
        backend=then(says(SMTP.replies[0] * 2), stays_silent),
        sees=SMTP.internal_error,
        log=(of_backend('upstream sent invalid response: "220 ready"'),),
    ),
    *(
        Fault(
            name=f"{speech.name} answers everything before it is asked",
            speech=speech,
            backend=then(says(b"".join(speech.replies)), hears(len(speech.replies) - 1), closes),
            sees=speech.welcome,
            log=(LOGGED_IN, DONE),
        )
        for speech in SPEECHES
    ),
    *(
        Fault(
            name=f"{speech.name} injects behind the verdict",
            speech=speech,
            backend=then(answers(len(speech.replies) - 1), says(speech.replies[-1] + b"z injected\r\n"), closes),
            sees=speech.welcome + b"z injected\r\n",
            log=(LOGGED_IN, DONE),
        )
        for speech in SPEECHES
    ),
    Fault(
        name="imap lets in before the password",
        backend=then(answers(2), says(b"a OK in\r\n"), stays_silent),
        sees=IMAP.internal_error,
        log=(of_backend('upstream sent invalid response: "a OK in"'),),
    ),
    Fault(
        name="imap lets in before the password, aloud",
        directives="proxy_pass_error_message on;",
        backend=then(answers(2), says(b"a OK in\r\n"), stays_silent),
        sees=IMAP.internal_error,  # not the yes, which would be believed
        log=(of_backend('upstream sent invalid response: "a OK in"', level="info"),),
    ),
    Fault(
        name="imap lets in somebody else",
        backend=then(answers(3), says(b"b OK in\r\n"), stays_silent),
        sees=IMAP.internal_error,
        log=(of_backend('upstream sent invalid response: "b OK in"'),),
    ),
    Fault(
        name="imap says goodbye instead of a verdict",
        backend=then(answers(3), says(b"* BYE too busy\r\n"), stays_silent),
        sees=IMAP.internal_error,
        log=(of_backend('upstream sent invalid response: "* BYE too busy"'),),
    ),
    Fault(
        name="imap literal without end",
        backend=then(answers(3), says(b"* X {4294967296}\r\n"), pours(b"", b"x")),
        sees=IMAP.internal_error,
        log=(of_backend(f'upstream sent too long response line: "* X {{4294967296}}{ANYTHING}..."'),),
    ),
    Fault(
        name="mx garbage to a recipient",
        speech=MX,
        backend=then(answers(5), says(GARBAGE), closes),
        sees=GARBAGE,
        log=(LOGGED_IN, DONE),
    ),
]

FAULTS = [
    *(
        fault
        for speech in SPEECHES
        for fault in (*at_each_step(speech), *wrong_at_each_step(speech), *nowhere(speech))
    ),
    *OUT_OF_TURN,
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(performance: Performance, fault: Fault) -> None:
    performance.check(fault)


def test_everybody_else(performance: Performance) -> None:
    performance.check_everybody_else()
