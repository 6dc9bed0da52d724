"""CVE-2025-53859: an AUTH command that was parsed half-way sent what lay in memory to the authentication service.

Here the memory is the session's: nothing of an attempt that failed, was refused or broken off may be in another.
"""

import base64

import pytest

from tests.functional.auth_service import Reply, Request, refuse

from .conftest import Edge
from .tongues import POP3, TONGUES, Tongue

LEFT = (b"left-over-user", b"left-over-password")


@pytest.fixture
def after_a_refusal(edge: Edge) -> Edge:
    """The first attempt is refused with leave to try again, all others succeed."""

    def decide(request: Request) -> Reply:
        if request.headers["Auth-User"] == LEFT[0].decode():
            return refuse("no", wait_seconds=1)
        return edge.accept(request)

    edge.service.decide = decide
    return edge


def encoded(text: bytes) -> bytes:
    return base64.b64encode(text)


# Mechanism, and the responses of which the last one ends the attempt without a login.
HALVES = {
    "PLAIN, empty": (b"PLAIN", [b"="]),
    "PLAIN, one NUL": (b"PLAIN", [encoded(b"\0")]),
    "PLAIN, no password": (b"PLAIN", [encoded(b"\0joe")]),
    "PLAIN, no separator": (b"PLAIN", [encoded(b"joe")]),
    "PLAIN, not base64": (b"PLAIN", [b"AGpv*"]),
    "LOGIN, not base64": (b"LOGIN", [b"*"]),
    "LOGIN, the password not base64": (b"LOGIN", [encoded(b"joe"), b"*"]),
    "CRAM-MD5, empty": (b"CRAM-MD5", [b"="]),
    "CRAM-MD5, no digest": (b"CRAM-MD5", [encoded(b"joe")]),
    "CRAM-MD5, a short digest": (b"CRAM-MD5", [encoded(b"joe 00")]),
}


@pytest.mark.parametrize(("mechanism", "responses"), HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
def test_half_an_attempt_asks_nobody(
    after_a_refusal: Edge, tongue: Tongue, mechanism: bytes, responses: list[bytes]
) -> None:
    edge = after_a_refusal
    with edge.plain(tongue) as client:
        assert tongue.plain(client, *LEFT).startswith(tongue.refused)
        tongue.begin(client, mechanism)
        for response in responses[:-1]:
            assert client.command(response).startswith(tongue.prompt)
        assert client.command(responses[-1]).startswith(tongue.invalid)
        assert len(edge.service.requests) == 1
        # And the next whole attempt is itself alone, though shorter than what was there before.
        assert tongue.plain(client, b"u", b"").startswith(tongue.logged_in)
    last = edge.service.requests[-1].headers
    assert (last["Auth-User"], last["Auth-Pass"]) == ("u", "")


def test_empty_values_are_empty(after_a_refusal: Edge, tongue: Tongue) -> None:
    edge = after_a_refusal
    with edge.plain(tongue) as client:
        assert tongue.plain(client, *LEFT).startswith(tongue.refused)
        tongue.begin(client, b"LOGIN")
        assert client.command(b"").startswith(tongue.prompt)
        assert client.command(b"").startswith(tongue.logged_in)
    last = edge.service.requests[-1].headers
    assert (last["Auth-User"], last["Auth-Pass"]) == ("", "")


class TestPop3:
    """A name waits for its password there; nothing else may."""

    @pytest.mark.parametrize("between", [b"PASS", b"RETR 1", b"AUTH PLAIN =", b"APOP joe 0", b"STLS", b"USER"])
    def test_a_name_is_forgotten_with_the_first_mistake(self, edge: Edge, between: bytes) -> None:
        with edge.plain(POP3) as client:
            assert client.command(b"USER left-over-user") == b"+OK"
            assert client.command(between).startswith(b"-ERR")
            assert client.command(b"PASS secret").startswith(b"-ERR")
        assert edge.service.requests == []

    def test_a_name_is_forgotten_with_its_refusal(self, after_a_refusal: Edge) -> None:
        with after_a_refusal.plain(POP3) as client:
            assert client.command(b"USER " + LEFT[0]) == b"+OK"
            assert client.command(b"PASS secret").startswith(b"-ERR no")
            assert client.command(b"PASS secret") == b"-ERR invalid command"
        assert len(after_a_refusal.service.requests) == 1
