"""The client's name in DNS, on its way to the authentication service and, with XCLIENT, to the backend."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import dns_server
from tests.dns_server import DnsServer, Question, Zone, encoded, message, record, reverse

from .auth_service import AuthService, accept
from .gateway import Gateway
from .line_client import LineClient
from .scripted_backend import ScriptedBackend
from .waiting import LIMIT_SECONDS, wait_until

GREETING = b"220 edge.example ESMTP ready"
PLAIN = b"AUTH PLAIN AHUAcA=="  # user u, password p

# {0}: looked up; {1}: looked up, then a delay; {2}: by nobody; {3}: by one who is given little time
MAIL = """
    server_name edge.example;
    auth_http 127.0.0.1:{auth};
    resolver {resolver};
    server {{{{ listen 127.0.0.1:{{0}}; listen [::1]:{{0}}; listen unix:{directory}/smtp; protocol smtp; }}}}
    server {{{{ listen 127.0.0.1:{{1}}; protocol smtp; smtp_greeting_delay 60s; }}}}
    server {{{{ listen 127.0.0.1:{{2}}; protocol smtp; resolver off; }}}}
    server {{{{ listen 127.0.0.1:{{3}}; protocol smtp; resolver_timeout 200ms; }}}}
"""


class Backend(ScriptedBackend):
    """Takes everything. ``told`` are the arguments of XCLIENT."""

    def __init__(self) -> None:
        super().__init__(self._talk)
        self.told: list[bytes] = []

    def _talk(self, conversation: LineClient) -> None:
        conversation.send(b"220 backend\r\n")
        while True:
            line = conversation.line()
            if line.startswith(b"XCLIENT "):
                self.told.append(line.removeprefix(b"XCLIENT "))
            conversation.send(b"250 fine\r\n")


def local(ttl: int = 0) -> Zone:
    """Loopback has a name in both families; nothing is kept, so that each story sees its own answers."""
    return Zone(
        {reverse("127.0.0.1"): "Client.Example", reverse("::1"): "client.example"},
        {"client.example": ["127.0.0.1", "::1"]},
        ttl,
    )


@pytest.fixture(scope="module")
def names() -> Iterator[DnsServer]:
    with DnsServer(local()) as server:
        yield server


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as server:
        yield server


@pytest.fixture(scope="module")
def service(backend: Backend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port)) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(directory: Path, names: DnsServer, service: AuthService) -> Iterator[Gateway]:
    directory.chmod(0o777)
    text = MAIL.format(auth=service.port, resolver=names.place, directory=directory)
    with Gateway(directory, text, ports=4) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(names: DnsServer, backend: Backend, service: AuthService) -> None:
    names.decide = local()
    names.questions.clear()
    backend.told.clear()
    service.requests.clear()


def log_in(client: LineClient) -> None:
    assert client.line() == GREETING
    client.send(b"EHLO there\r\n")
    client.upto(b"250 ")
    assert client.command(PLAIN) == b"235 2.0.0 OK"


def heard(service: AuthService, backend: Backend) -> tuple[str, bytes]:
    """What the service and the backend were told of the one client so far."""
    (request,) = service.requests
    (told,) = backend.told
    return request.headers["Client-Host"], told


def through(address: "tuple[str, int] | str") -> LineClient:
    """A client of the listener at ``address``, which may be the path of a unix socket."""
    if isinstance(address, tuple):
        return LineClient(socket.create_connection(address, LIMIT_SECONDS))
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(LIMIT_SECONDS)
    connection.connect(address)
    return LineClient(connection)


def test_a_confirmed_name_arrives(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    with LineClient.plain(gateway.port) as client:
        log_in(client)
        assert heard(service, backend) == ("client.example", b"ADDR=127.0.0.1 LOGIN=u NAME=client.example")
        assert names.asked[0] == (reverse("127.0.0.1"), dns_server.PTR)


def test_also_over_ipv6(gateway: Gateway, service: AuthService, backend: Backend) -> None:
    with through(("::1", gateway.port)) as client:
        log_in(client)
        assert heard(service, backend) == ("client.example", b"ADDR=IPV6:::1 LOGIN=u NAME=client.example")


def test_a_client_without_a_name(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    names.decide = Zone()
    with LineClient.plain(gateway.port) as client:
        log_in(client)
    assert heard(service, backend) == ("[UNAVAILABLE]", b"ADDR=127.0.0.1 LOGIN=u NAME=[UNAVAILABLE]")
    gateway.wait_for_log(
        r"\[error\] .*127\.0\.0\.1 could not be resolved \(3: Host not found\) while in resolving client address, "
        rf"client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.port}\n"
    )


def test_a_hostile_name_arrives_nowhere(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    evil = encoded(b"x\r\nAuth-User: root\r\n\r\nGET / HTTP/1.1", b"example")

    def agree(question: Question) -> bytes:
        answers = {
            dns_server.PTR: record(dns_server.PTR, evil, 0),
            dns_server.A: dns_server.address("127.0.0.1", 0),
        }
        return message(question, *filter(None, [answers.get(question.kind)]))

    names.decide = agree
    with LineClient.plain(gateway.port) as client:
        log_in(client)
    assert heard(service, backend) == ("[TEMPUNAVAIL]", b"ADDR=127.0.0.1 LOGIN=u NAME=[TEMPUNAVAIL]")
    assert service.requests[0].headers["Auth-User"] == "u"
    gateway.wait_for_log(r'127\.0\.0\.1 resolved to invalid host name "x\\x0D\\x0Aauth-user: root\\x0D')


def test_a_name_that_is_not_confirmed(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    names.decide = Zone({reverse("127.0.0.1"): "bank.example"}, {"bank.example": ["192.0.2.1"]}, 0)
    with LineClient.plain(gateway.port) as client:
        log_in(client)
    assert heard(service, backend)[0] == "[UNAVAILABLE]"


def test_name_servers_that_say_nothing(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    names.decide = lambda _: None
    with LineClient.plain(gateway.ports[3]) as client:
        log_in(client)
    assert heard(service, backend)[0] == "[TEMPUNAVAIL]"
    gateway.wait_for_log(r"127\.0\.0\.1 could not be resolved \(110: Operation timed out\) while in resolving")


@pytest.mark.usefixtures("gateway")
def test_a_client_of_a_unix_socket(
    directory: Path, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    with through(f"{directory}/smtp") as client:
        log_in(client)
    assert heard(service, backend)[0] == "[TEMPUNAVAIL]"
    assert names.questions == []


def test_a_server_without_a_resolver(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    with LineClient.plain(gateway.ports[2]) as client:
        log_in(client)
    assert heard(service, backend)[0] == "[UNAVAILABLE]"
    assert names.questions == []


class Held:
    """A zone that answers when it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def __call__(self, question: Question) -> bytes:
        assert self.gate.wait(LIMIT_SECONDS)
        return local()(question)


def test_what_comes_during_the_look_up_waits_for_the_greeting(gateway: Gateway, names: DnsServer) -> None:
    names.decide = held = Held()
    with LineClient.plain(gateway.port) as client:
        client.send(b"NOOP\r\n")
        wait_until(lambda: names.questions, "the look-up")
        held.gate.set()
        assert client.line() == GREETING
        assert client.line() == b"250 2.0.0 OK"


def test_what_comes_during_the_look_up_is_early_where_there_is_a_delay(gateway: Gateway, names: DnsServer) -> None:
    names.decide = held = Held()
    with LineClient.plain(gateway.ports[1]) as client:
        client.send(b"EHLO spammer\r\n")
        wait_until(lambda: names.questions, "the look-up")
        held.gate.set()
        assert client.line() == b"503 5.5.0 Improper use of SMTP command pipelining"
        assert client.rest() == b""
    gateway.wait_for_log(
        r'\[info\] .*client was rejected before greeting: "EHLO spammer__" while in delay pipelining state, '
    )


def test_who_leaves_during_the_look_up_harms_nobody(
    gateway: Gateway, service: AuthService, backend: Backend, names: DnsServer
) -> None:
    names.decide = held = Held()
    before = gateway.log().count(" connected to ")
    with contextlib.ExitStack() as crowd:
        gone = [crowd.enter_context(LineClient.plain(gateway.port)) for _ in range(20)]
        wait_until(lambda: gateway.log().count(" connected to ") == before + 20, "all of them to wait")
        for client in gone:
            client.close()
    with LineClient.plain(gateway.port) as client:
        held.gate.set()
        log_in(client)
    assert heard(service, backend)[0] == "client.example"
    assert len(names.questions) <= 6  # one look-up for all of them, perhaps another for the last client


def test_servers_share_what_their_resolver_has_learnt(gateway: Gateway, names: DnsServer) -> None:
    # A client's address of its own, so that what is kept concerns no other story.
    names.decide = Zone({reverse("127.0.0.9"): "nine.example"}, {"nine.example": ["127.0.0.9"]}, 3600)
    here = ("127.0.0.9", 0)
    with LineClient(socket.create_connection(("127.0.0.1", gateway.port), LIMIT_SECONDS, here)) as client:
        assert client.line() == GREETING
    count = len(names.questions)
    assert count > 0
    other = socket.create_connection(("127.0.0.1", gateway.ports[1]), LIMIT_SECONDS, here)
    with LineClient(other) as client:
        client.send(b"x\r\n")
        assert client.line().startswith(b"503")
    assert len(names.questions) == count
