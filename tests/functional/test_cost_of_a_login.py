"""What one login and one relayed chunk cost, counted in system calls and wake-ups: no clock, no load, no luck.

Client, backend and authentication service say nothing before the worker sleeps. So every wait of a session is a
real one, with the look that finds nothing before it and the wake-up behind it: the counts are the highest that can
be, and the same on every machine. Who makes something cheaper lowers the number; who has to raise one says why.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from .auth_service import Answer, AuthService, Request, accept
from .certificates import Certificates
from .line_client import LineClient
from .scripted_backend import ScriptedBackend
from .traced import Call, Traced
from .waiting import wait_until

ROUNDS = 5
CHUNK = b"x" * 16384  # what fits into one TLS record

# Not ours: the allocator's, and libcrypto's, which asks before it uses random numbers whether it has been forked.
_NOT_COUNTED = frozenset({"brk", "futex", "getpid", "gettid", "getrandom", "madvise", "mmap", "mremap", "munmap"})

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    error_log %s/error.log error;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol imap;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol imap;
    }}
"""


class Limits(NamedTuple):
    """The most that one unit may take."""

    calls: int
    wakeups: int


class Stage(NamedTuple):
    """A traced gateway, and what its clients need."""

    gateway: Traced
    certificates: Certificates

    def connect(self, *, tls: bool) -> "Client":
        lines = LineClient.plain(self.gateway.ports[0 if tls else 1])
        if tls:
            self.gateway.wait_until_asleep()
            lines.start_tls(self.certificates.client_context())
        return Client(lines, self.gateway)

    def log_in(self, *, tls: bool) -> "Client":
        client = self.connect(tls=tls)
        assert client.lines.line().startswith(b"* OK")
        client.say(b"a LOGIN someone sesame")
        assert client.lines.line() == b"a OK logged in"
        return client


class Client:
    """One that lets the worker fall asleep before it speaks."""

    def __init__(self, lines: LineClient, gateway: Traced) -> None:
        self.lines = lines
        self._gateway = gateway

    def say(self, line: bytes) -> None:
        self._gateway.wait_until_asleep()
        self.lines.send(line + b"\r\n")

    def leave(self) -> None:
        self.say(b"z LOGOUT")
        self.lines.rest()
        self._gateway.wait_until_asleep()
        self.lines.close()
        self._gateway.wait_until_asleep()


@pytest.fixture(scope="module")
def stage(directory: Path, certificates: Certificates) -> Iterator[Stage]:
    started: list[Traced] = []

    def asleep() -> None:
        started[0].wait_until_asleep()

    def play(conversation: LineClient) -> None:
        for words in (b"* OK ready", b"+ go on", b"+ go on", b"a OK logged in"):
            asleep()
            conversation.send(words + b"\r\n")
            command = conversation.line()
        while command != b"z LOGOUT":
            asleep()
            conversation.send(CHUNK if command == b"b CHUNK" else b"b OK\r\n")
            command = conversation.line()
        asleep()
        conversation.send(b"* BYE\r\nz OK bye\r\n")
        asleep()  # the end comes by itself

    def decide(_: Request) -> Answer:
        asleep()
        return accept(backend.port)

    with ExitStack() as stack:
        backend = stack.enter_context(ScriptedBackend(play))
        service = stack.enter_context(AuthService(decide))
        mail = CONFIGURATION % (service.port, directory, certificates.directives("ecdsa"))
        started.append(stack.enter_context(Traced(directory, mail, ports=2)))
        stage = Stage(started[0], certificates)
        for tls in (True, False):  # what the first session of a worker brings is not what a session costs
            stage.log_in(tls=tls).leave()
        yield stage


def spent(gateway: Traced, before: int) -> tuple[Sequence[Call], Limits]:
    """What counts of the calls since there were ``before`` of them."""
    gateway.wait_until_asleep()
    # The wheel's tick wakes the loop for nothing once a second, whether there are sessions or not.
    waits = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
    calls = [
        call
        for call in gateway.calls()[before:]
        if call.name not in _NOT_COUNTED and not (call.name in waits and call.result <= 0)
    ]
    # A look at the poller (epoll_wait with no time) belongs to the wake-up before it.
    return calls, Limits(len(calls), sum(call.name in waits and ", 0)" not in call.text for call in calls))


def check(calls: Sequence[Call], used: Limits, limits: Limits, units: int) -> None:
    told = f"{Counter(call.name for call in calls)} for {units}\n" + "\n".join(
        call.text for call in calls[: used.calls // units + 5]
    )
    assert used.calls <= limits.calls * units, told
    assert used.wakeups <= limits.wakeups * units, told


@pytest.mark.parametrize(
    ("tls", "limits"),
    # TLS: 61 with the compiled binding, which sends the ticket with the greeting; 63 without.
    [pytest.param(True, Limits(63, 13), id="TLS"), pytest.param(False, Limits(53, 11), id="clear")],
)
def test_a_session(stage: Stage, tls: bool, limits: Limits) -> None:
    """From connect to the end: handshake, greeting, LOGIN, authentication, login upstream, LOGOUT."""
    before = len(stage.gateway.calls())
    for _ in range(ROUNDS):
        stage.log_in(tls=tls).leave()
    check(*spent(stage.gateway, before), limits, ROUNDS)


@pytest.mark.parametrize(
    ("tls", "limits"),
    [pytest.param(True, Limits(8, 2), id="TLS"), pytest.param(False, Limits(8, 2), id="clear")],
)
def test_a_chunk_each_way(stage: Stage, tls: bool, limits: Limits) -> None:
    """One line up, one TLS record of data down."""
    client = stage.log_in(tls=tls)
    stage.gateway.wait_until_asleep()
    before = len(stage.gateway.calls())
    for _ in range(ROUNDS):
        client.say(b"b CHUNK")
        assert client.lines.take(len(CHUNK)) == CHUNK
    calls, used = spent(stage.gateway, before)
    client.leave()
    check(calls, used, limits, ROUNDS)


def test_the_counts_see_a_session(stage: Stage) -> None:
    """Nothing would be proved by a trace that is empty, late or somebody else's."""
    before = len(stage.gateway.calls())
    client = stage.log_in(tls=True)
    calls, _ = spent(stage.gateway, before)
    names = [call.name for call in calls]
    assert "connect" in names
    assert "close" not in names
    client.leave()
    wait_until(lambda: any(call.name == "close" for call in stage.gateway.calls()[before:]), "the session's end")
