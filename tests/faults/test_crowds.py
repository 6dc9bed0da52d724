"""Many clients that cost us something and give nothing: they keep silent, or take a download without reading it."""

import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.functional.auth_service import AuthService, Raw, accept
from tests.functional.certificates import Certificates
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient
from tests.functional.process import connections, descriptors, memory_kib
from tests.functional.scripted_backend import ScriptedBackend, imap_login
from tests.functional.waiting import LIMIT_SECONDS, wait_until

CROWD = 1000
SILENT_KIB = 8  # of memory for one silent client, whatever the listener speaks
DOWNLOADS = 20
DOWNLOAD_BLOCKS = 16 * 1024  # of 64 KiB, together 1 GiB
STUCK_KIB = 400  # for one download that is stuck: what was read last, and what the TLS library holds
STUCK_SECONDS = 1.0  # a write that nobody has taken by then is taken by nobody

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    %s
    server {{
        protocol imap;
        listen 127.0.0.1:{0};
        listen 127.0.0.1:{1} ssl;
        listen 127.0.0.1:{2} proxy_protocol;
    }}
    server {{
        protocol imap;
        timeout 2s;
        listen 127.0.0.1:{3};
        listen 127.0.0.1:{4} ssl;
        listen 127.0.0.1:{5} proxy_protocol;
    }}
"""
KINDS = ("clear", "tls", "proxied")


@pytest.fixture(scope="module", autouse=True)
def _room() -> None:
    """More descriptors than users have by default, for us and for the daemon, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CROWD
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(lambda _: None) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, backend: ScriptedBackend) -> Iterator[Gateway]:
    # Without connections that are kept for reuse, there is none left where there is no session.
    with AuthService(lambda _: Raw(accept(backend.port).message(keep=False))) as service:
        mail = CONFIGURATION % (service.port, certificates.directives("ecdsa"))
        with Gateway(directory, mail, ports=6) as running:
            yield running


@pytest.fixture
def worker(gateway: Gateway, backend: ScriptedBackend) -> Iterator[int]:
    """The process that does it all: the same afterwards, and without a connection."""
    (pid,) = gateway.workers
    come_and_go(gateway, backend)  # whatever is made at the first login is made
    wait_until(lambda: not connections(pid), "an idle worker")
    before = descriptors(pid)
    yield pid
    come_and_go(gateway, backend)
    assert gateway.workers == (pid,)
    wait_until(lambda: not connections(pid), "the worker to be idle again")
    assert descriptors(pid) == before


def lets_in(conversation: LineClient) -> None:
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    conversation.rest()


def come_and_go(gateway: Gateway, backend: ScriptedBackend) -> None:
    """Somebody logs in and ends."""
    backend.script = lets_in
    with LineClient.plain(gateway.port) as client:
        client.line()
        assert client.command(b"a LOGIN joe open-sesame") == b"a OK in"
        client.half_close()
        assert client.rest() == b""


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_clients_that_say_nothing(
    gateway: Gateway, backend: ScriptedBackend, worker: int, kind: str
) -> None:
    before = memory_kib(worker)
    with ExitStack() as crowd:
        for _ in range(CROWD):
            crowd.enter_context(LineClient.plain(gateway.ports[KINDS.index(kind)]))
        wait_until(lambda: connections(worker) == CROWD, "all of them to be accepted")
        come_and_go(gateway, backend)
        assert memory_kib(worker) - before < CROWD * SILENT_KIB


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("worker")
def test_a_thousand_clients_that_say_nothing_to_the_end(gateway: Gateway, kind: str) -> None:
    port = gateway.ports[3 + KINDS.index(kind)]
    with ExitStack() as crowd:
        clients = [crowd.enter_context(LineClient.plain(port)) for _ in range(CROWD)]
        for client in clients:
            assert client.rest() == (b"* OK IMAP4 ready\r\n" if kind == "clear" else b"")
    line = f", client: 127.0.0.1, server: 127.0.0.1:{port}\n"
    wait_until(lambda: gateway.log().count(line) >= CROWD, "all of them to be told")
    assert gateway.log().count(line) == CROWD


def pours(conversation: LineClient, stuck: threading.Semaphore) -> None:
    """A backend with a GiB for somebody who does not read it."""
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    pour(conversation, stuck)
    conversation.rest()


def pour(conversation: LineClient, stuck: threading.Semaphore) -> None:
    """Send a GiB, if it is taken, and say so if it is not."""
    block = b"x" * 65536
    conversation.patience(STUCK_SECONDS)
    try:
        for _ in range(DOWNLOAD_BLOCKS):
            conversation.send(block)
    except TimeoutError:
        stuck.release()
    conversation.patience(LIMIT_SECONDS)


def repeats(conversation: LineClient, _stuck: threading.Semaphore) -> None:
    """A backend that gives back what it gets."""
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    while data := conversation.some():
        conversation.send(data)


@pytest.mark.parametrize("kind", ["clear", "tls"])
@pytest.mark.parametrize("script", [pours, repeats])
def test_downloads_of_a_gib_that_nobody_reads(
    gateway: Gateway,
    certificates: Certificates,
    backend: ScriptedBackend,
    worker: int,
    kind: str,
    script: Callable[[LineClient, threading.Semaphore], None],
) -> None:
    before = memory_kib(worker)
    stuck = threading.Semaphore(0)
    with ExitStack() as crowd, ThreadPoolExecutor(DOWNLOADS) as senders:
        clients = []
        for _ in range(DOWNLOADS):
            backend.script = lambda conversation: script(conversation, stuck)
            client = crowd.enter_context(LineClient.plain(gateway.ports[KINDS.index(kind)]))
            if kind == "tls":
                client.start_tls(certificates.client_context())
            client.line()
            assert client.command(b"a LOGIN joe open-sesame") == b"a OK in"
            clients.append(client)
        if script is repeats:
            for client in clients:
                senders.submit(pour, client, stuck)
        for _ in clients:
            assert stuck.acquire(timeout=LIMIT_SECONDS)
        come_and_go(gateway, backend)
        assert memory_kib(worker) - before < DOWNLOADS * STUCK_KIB
        for client in clients:
            client.close()
    if script is repeats:
        # It can neither send nor, therefore, read what is on its way from who is gone.
        backend.cut()
