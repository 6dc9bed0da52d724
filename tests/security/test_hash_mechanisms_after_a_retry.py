"""CVE-2026-27651: with CRAM-MD5 or APOP, a second attempt in one session met what the first had left behind."""

import base64
import hmac

from tests.functional.auth_service import Reply, Request, refuse
from tests.functional.line_client import LineClient

from .conftest import Edge
from .tongues import Tongue


def refusing(edge: Edge, times: int) -> None:
    """The service refuses so often, and lets the client try again; then it accepts."""
    left = [refuse("not yet", wait_seconds=1)] * times

    def decide(request: Request) -> Reply:
        return left.pop() if left else edge.accept(request)

    edge.service.decide = decide


def cram_md5(tongue: Tongue, client: LineClient) -> tuple[str, str, bytes]:
    """One attempt: challenge, digest, answer."""
    challenge = base64.b64decode(tongue.begin(client, b"CRAM-MD5"))
    digest = hmac.new(b"secret", challenge, "md5").hexdigest()
    return challenge.decode(), digest, client.command(base64.b64encode(f"joe {digest}".encode()))


def test_cram_md5_three_times(edge: Edge, tongue: Tongue) -> None:
    refusing(edge, 2)
    (worker,) = edge.gateway.workers
    with edge.plain(tongue) as client:
        attempts = [cram_md5(tongue, client) for _ in range(3)]
    answers = [answer for _, _, answer in attempts]
    assert [answer.startswith(tongue.refused) for answer in answers] == [True, True, False]
    assert answers[2].startswith(tongue.logged_in)
    told = [(request.headers["Auth-Salt"], request.headers["Auth-Pass"]) for request in edge.service.requests]
    assert told == [(challenge, digest) for challenge, digest, _ in attempts]
    assert len(set(told)) == 3, "each attempt has a challenge of its own"
    assert [request.headers["Auth-Login-Attempt"] for request in edge.service.requests] == ["1", "2", "3"]
    assert edge.gateway.workers == (worker,)


def test_a_password_after_a_hash_and_a_hash_after_a_password(edge: Edge, tongue: Tongue) -> None:
    refusing(edge, 3)
    with edge.plain(tongue) as client:
        assert cram_md5(tongue, client)[2].startswith(tongue.refused)
        assert tongue.plain(client, b"joe", b"0" * 32).startswith(tongue.refused)
        # Without a digest of its own; the password before would do for one.
        tongue.begin(client, b"CRAM-MD5")
        assert client.command(base64.b64encode(b"joe")).startswith(tongue.invalid)
        assert cram_md5(tongue, client)[2].startswith(tongue.refused)
    assert [request.headers["Auth-Method"] for request in edge.service.requests] == [
        "cram-md5",
        "plain",
        "cram-md5",
    ]
    assert "Auth-Salt" not in edge.service.requests[1].headers


def test_apop_three_times(edge: Edge) -> None:
    refusing(edge, 2)
    with LineClient.plain(edge.gateway.ports[2]) as client:
        challenge = client.line().decode().rpartition(" ")[2]
        digest = "0123456789abcdef" * 2
        answers = [client.command(f"APOP joe {digest}".encode()) for _ in range(3)]
    assert [answer.startswith(b"+OK") for answer in answers] == [False, False, True]
    # RFC 1939 has one challenge for a session, in its greeting.
    assert {request.headers["Auth-Salt"] for request in edge.service.requests} == {challenge}
