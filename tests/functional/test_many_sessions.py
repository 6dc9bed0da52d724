"""Two workers and 200 sessions at once, all of them doing something."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .certificates import Certificates
from .dovecot import Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .mailbox import login

SESSIONS = 200

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol imap;
    }}
"""


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(dovecot.port)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    mail = CONFIGURATION % (service.port, certificates.directives("ecdsa"))
    with Gateway(directory, mail, workers=2) as running:
        yield running


def test_200_sessions_at_once(gateway: Gateway, certificates: Certificates, dovecot: Dovecot) -> None:
    context = certificates.client_context()

    def open_session(_: int) -> LineClient:
        client = LineClient.tls(gateway.port, context)
        assert client.line() == b"* OK IMAP4 ready"
        login(client, dovecot.fresh_user())
        return client

    def ask(client: LineClient) -> bytes:
        client.send(b"a STATUS INBOX (MESSAGES)\r\n")
        return client.upto(b"a ")[-2]

    def leave(client: LineClient) -> bytes:
        client.send(b"b LOGOUT\r\n")
        return client.rest()

    with ExitStack() as stack, ThreadPoolExecutor(32) as pool:
        clients = [stack.enter_context(client) for client in pool.map(open_session, range(SESSIONS))]
        # All of them are logged in now; every one must still be alive, and no two mixed up.
        assert Counter(pool.map(ask, clients)) == {b"* STATUS INBOX (MESSAGES 0)": SESSIONS}
        assert all(b"b OK" in said for said in pool.map(leave, clients))
    assert len(gateway.workers) == 2
    served = Counter(re.findall(r"\[info\] (\d+)#\d+: \*\d+ client logged in", gateway.log()))
    assert served.total() == SESSIONS
    assert set(served) == {str(pid) for pid in gateway.workers}
