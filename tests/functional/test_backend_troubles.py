"""A backend that is down, slow, rude or closes half-way: what the client sees and what the log says."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .gateway import Gateway
from .line_client import LineClient
from .ports import claim_port
from .process import memory_kib
from .scripted_backend import ScriptedBackend, imap_login
from .waiting import LIMIT_SECONDS

INTERNAL_ERROR = b"* BAD internal server error\r\n"

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    timeout 2s;
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol imap;
        proxy_pass_error_message on;
    }}
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(lambda _: None) as running:
        yield running


@pytest.fixture(scope="module")
def service(backend: ScriptedBackend) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(backend.port)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, service: AuthService) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % service.port, ports=2) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[LineClient]:
    with LineClient.plain(gateway.ports[0]) as connected:
        assert connected.line() == b"* OK IMAP4 ready"
        yield connected


@pytest.fixture
def frank(gateway: Gateway) -> Iterator[LineClient]:
    """A client of the server that passes error messages on."""
    with LineClient.plain(gateway.ports[1]) as connected:
        assert connected.line() == b"* OK IMAP4 ready"
        yield connected


def suffix(gateway: Gateway, backend: ScriptedBackend, login: str, server: int = 0) -> str:
    return (
        rf"client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.ports[server]}, "
        rf'login: "{login}", upstream: 127\.0\.0\.1:{backend.port}\n'
    )


def test_the_dialogue_as_the_backend_sees_it(backend: ScriptedBackend, client: LineClient) -> None:
    seen: list[bytes] = []

    def script(conversation: LineClient) -> None:
        conversation.send(b"* OK ready\r\n")
        seen.append(conversation.line())
        conversation.send(b"+ go\r\n")
        seen.append(conversation.line())
        conversation.send(b"+ go\r\n")
        seen.append(conversation.line())
        conversation.send(b"* CAPABILITY IMAP4rev1\r\nt1 OK done\r\n")
        seen.append(conversation.line())
        conversation.send(b"* BYE\r\nt2 OK gone\r\n")

    backend.script = script
    client.send(b't1 LOGIN joe "pa ss"\r\nt2 LOGOUT\r\n')
    assert client.rest() == b"* CAPABILITY IMAP4rev1\r\nt1 OK done\r\n* BYE\r\nt2 OK gone\r\n"
    assert seen == [b"t1 LOGIN {3}", b"joe {5}", b"pa ss", b"t2 LOGOUT"]


def test_any_number_of_untagged_lines_and_a_bare_plus(backend: ScriptedBackend, client: LineClient) -> None:
    def script(conversation: LineClient) -> None:
        conversation.send(b"* OK ready\r\n")
        conversation.line()
        conversation.send(b"+\r\n")
        conversation.line()
        conversation.send(b"+\r\n")
        conversation.line()
        conversation.send(b"* OK one\r\n* OK two\r\n* CAPABILITY IMAP4rev1\r\na OK done\r\n")

    backend.script = script
    client.send(b"a LOGIN joe secret\r\n")
    assert client.rest() == b"* OK one\r\n* OK two\r\n* CAPABILITY IMAP4rev1\r\na OK done\r\n"


def test_a_backend_that_says_one_byte_at_a_time(backend: ScriptedBackend, client: LineClient) -> None:
    def drip(conversation: LineClient, data: bytes) -> None:
        for byte in data:
            conversation.send(bytes([byte]))

    def script(conversation: LineClient) -> None:
        drip(conversation, b"* OK ready\r\n")
        conversation.line()
        drip(conversation, b"+ more\r\n")
        conversation.line()
        drip(conversation, b"+ more\r\n")
        conversation.line()
        drip(conversation, b"* OK news\r\na OK done\r\n")

    backend.script = script
    client.send(b"a LOGIN joe secret\r\n")
    assert client.rest() == b"* OK news\r\na OK done\r\n"


def test_refused_password(gateway: Gateway, backend: ScriptedBackend, client: LineClient) -> None:
    def script(conversation: LineClient) -> None:
        tag, _, _ = imap_login(conversation)
        conversation.send(tag + b" NO not you\r\n")

    backend.script = script
    client.send(b"a LOGIN refused open-sesame\r\n")
    assert client.rest() == INTERNAL_ERROR
    gateway.wait_for_log(
        r'\[error\] .*upstream sent invalid response: "NO not you" while reading response from upstream, '
        + suffix(gateway, backend, "refused")
    )
    assert "open-sesame" not in gateway.log()


def test_refused_password_passed_on(gateway: Gateway, backend: ScriptedBackend, frank: LineClient) -> None:
    def script(conversation: LineClient) -> None:
        tag, _, _ = imap_login(conversation)
        conversation.send(tag + b" NO [AUTHENTICATIONFAILED] not you\r\n")

    backend.script = script
    frank.send(b"a LOGIN told secret\r\n")
    assert frank.rest() == b"a NO [AUTHENTICATIONFAILED] not you\r\n"
    gateway.wait_for_log(
        r'\[info\] .*upstream sent invalid response: "NO \[AUTHENTICATIONFAILED\] not you" '
        r"while reading response from upstream, " + suffix(gateway, backend, "told", server=1)
    )


@pytest.mark.parametrize("greeting", [b"* BYE too busy", b"* PREAUTH hello", b"+OK POP3 ready", b"\0\1\2\3"])
def test_wrong_greeting(gateway: Gateway, backend: ScriptedBackend, client: LineClient, greeting: bytes) -> None:
    def script(conversation: LineClient) -> None:
        conversation.send(greeting + b"\r\n")
        backend.hold()

    backend.script = script
    client.send(b"a LOGIN greeted secret\r\n")
    assert client.rest() == INTERNAL_ERROR
    gateway.wait_for_log(
        r'\[error\] .*upstream sent invalid response: ".*" while reading response from upstream, '
        + suffix(gateway, backend, "greeted")
    )


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_closing_half_way(backend: ScriptedBackend, client: LineClient, rounds: int) -> None:
    def script(conversation: LineClient) -> None:
        for answer in (b"* OK ready\r\n", b"+ user\r\n", b"+ pass\r\n")[:rounds]:
            conversation.send(answer)
            conversation.line()

    backend.script = script
    client.send(b"a LOGIN cut secret\r\n")
    assert client.rest() == INTERNAL_ERROR


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_silence(gateway: Gateway, backend: ScriptedBackend, client: LineClient, rounds: int) -> None:
    def script(conversation: LineClient) -> None:
        for answer in (b"* OK ready\r\n", b"+ user\r\n", b"+ pass\r\n")[:rounds]:
            conversation.send(answer)
            conversation.line()
        backend.hold()

    backend.script = script
    client.send(f"a LOGIN silent{rounds} secret\r\n".encode())
    assert client.rest() == INTERNAL_ERROR
    action = ("connecting to upstream", "sending LOGIN command to upstream")[min(rounds, 1)]
    action = {2: "sending user name to upstream", 3: "sending password to upstream"}.get(rounds, action)
    gateway.wait_for_log(
        rf"\[info\] .*upstream timed out \(110: Connection timed out\) while {action}, "
        + suffix(gateway, backend, f"silent{rounds}")
    )


def test_a_line_without_end(gateway: Gateway, backend: ScriptedBackend, client: LineClient) -> None:
    def script(conversation: LineClient) -> None:
        conversation.send(b"* OK " + b"x" * 100_000)
        backend.hold()

    backend.script = script
    client.send(b"a LOGIN flooded secret\r\n")
    assert client.rest() == INTERNAL_ERROR
    gateway.wait_for_log(r'\[error\] .*upstream sent too long response line: "\* OK xxx')


def test_closing_right_after_the_login_delivers_everything(backend: ScriptedBackend, client: LineClient) -> None:
    news = b"".join(b"* %d EXISTS\r\n" % number for number in range(100_000))

    def script(conversation: LineClient) -> None:
        tag, _, _ = imap_login(conversation)
        conversation.send(tag + b" OK done\r\n" + news)

    backend.script = script
    client.send(b"a LOGIN joe secret\r\n")
    assert client.rest() == b"a OK done\r\n" + news


def test_a_client_that_reads_slowly_stops_the_backend(
    gateway: Gateway, backend: ScriptedBackend, client: LineClient
) -> None:
    # 64 MiB for a client that does not read: the backend must get stuck, the proxy must not grow.
    block = b"x" * 65536
    sent = 0
    stuck = threading.Event()

    def script(conversation: LineClient) -> None:
        nonlocal sent
        tag, _, _ = imap_login(conversation)
        conversation.send(tag + b" OK done\r\n")
        conversation.patience(1.0)
        try:
            for _ in range(1024):
                conversation.send(block)
                sent += len(block)
        except TimeoutError:
            stuck.set()

    backend.script = script
    client.send(b"a LOGIN slow secret\r\n")
    assert client.line() == b"a OK done"
    (worker,) = gateway.workers
    before = memory_kib(worker)
    assert stuck.wait(LIMIT_SECONDS)
    assert memory_kib(worker) - before < 1024
    # The backend has closed meanwhile; what it could send until then arrives whole.
    assert sent <= len(client.rest()) <= sent + len(block)


def test_a_backend_that_is_down(scratch: Path) -> None:
    nobody = claim_port()
    with (
        AuthService(lambda _: accept(nobody)) as service,
        Gateway(scratch / "backend_down", CONFIGURATION % service.port, ports=2) as gateway,
    ):
        with LineClient.plain(gateway.port) as client:
            client.line()
            client.send(b"a LOGIN user secret\r\n")
            assert client.rest() == INTERNAL_ERROR
        gateway.wait_for_log(
            r"\[error\] .*\(111: Connection refused\) while [a-z ]+, client: 127\.0\.0\.1, server: "
            rf'127\.0\.0\.1:{gateway.port}, login: "user", upstream: 127\.0\.0\.1:{nobody}\n'
        )
