"""CVE-2025-59028: base64 that was none ended the logins of everybody who was logging in at the time."""

import base64
import threading
from contextlib import ExitStack

import pytest

from tests.functional.auth_service import Reply, Request, refuse
from tests.functional.waiting import LIMIT_SECONDS, wait_until

from .conftest import Edge
from .tongues import TONGUES, Tongue

NONSENSE = [b"*", b"!!!!", b"A", b"AAAAA", b"\xff\xfe\xfd\xfc", b"\0\0\0\0", b"AG\xa0pv", b"A" * 4000 + b"-"]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=[repr(word[:10]) for word in NONSENSE])
def test_others_go_on(edge: Edge, nonsense: bytes) -> None:
    with ExitStack() as stack:
        clients = [(tongue, stack.enter_context(edge.plain(tongue))) for tongue in TONGUES]
        for tongue, client in clients:  # everyone is in the middle of an exchange
            tongue.begin(client, b"LOGIN")
            assert client.command(base64.b64encode(b"joe")).startswith(tongue.prompt)
        for tongue in TONGUES:
            with edge.plain(tongue) as hostile:
                for mechanism in (b"PLAIN", b"LOGIN", b"CRAM-MD5"):
                    tongue.begin(hostile, mechanism)
                    assert hostile.command(nonsense).startswith(tongue.invalid)
                tongue.works(hostile)
        for tongue, client in clients:
            assert client.command(base64.b64encode(b"secret")).startswith(tongue.logged_in)
    assert [request.headers["Auth-User"] for request in edge.service.requests] == ["joe"] * len(TONGUES)


def test_a_login_that_is_being_decided(edge: Edge, tongue: Tongue) -> None:
    decided = threading.Event()

    def decide(request: Request) -> Reply:
        if request.headers["Auth-User"] == "held":
            decided.wait(LIMIT_SECONDS)
            return refuse("at last")
        return edge.accept(request)

    edge.service.decide = decide
    with edge.plain(tongue) as waiting, edge.plain(tongue) as hostile, edge.plain(tongue) as other:
        waiting.send(tongue.auth + b" PLAIN " + base64.b64encode(b"\0held\0secret") + b"\r\n")
        wait_until(lambda: edge.service.requests, "the service to be asked")
        tongue.begin(hostile, b"PLAIN")
        assert hostile.command(b"*").startswith(tongue.invalid)
        assert tongue.plain(other, b"joe", b"secret").startswith(tongue.logged_in)
        decided.set()
        assert waiting.line().endswith(b" at last")
