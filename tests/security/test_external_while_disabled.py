"""EXTERNAL where it is not enabled: a login under any name without any proof.

nginx refuses it without an initial response, and takes it with one.
"""

import base64

import pytest

from .conftest import Edge
from .tongues import Tongue

NAMES = {"a name": base64.b64encode(b"admin"), "nobody": b"=", "no base64": b"*"}


@pytest.mark.parametrize("response", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("word", [b"EXTERNAL", b"external", b"eXternal"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "TLS"])
def test_with_an_initial_response(
    edge: Edge, tongue: Tongue, encrypted: bool, word: bytes, response: bytes
) -> None:
    with (edge.tls if encrypted else edge.plain)(tongue) as client:
        assert client.command(tongue.auth + b" " + word + b" " + response).startswith(tongue.invalid)
        tongue.works(client)
    assert edge.service.requests == []


def test_without_one(edge: Edge, tongue: Tongue) -> None:
    with edge.tls(tongue) as client:
        assert client.command(tongue.auth + b" EXTERNAL").startswith(tongue.invalid)
        # What follows is no response.
        assert client.command(base64.b64encode(b"admin")).startswith((tongue.invalid, b"* BAD"))
        tongue.works(client)
    assert edge.service.requests == []


def test_it_is_not_offered(edge: Edge, tongue: Tongue) -> None:
    with edge.tls(tongue) as client:
        question, end = {"imap": (b"a CAPABILITY", b"a "), "pop3": (b"CAPA", b"."), "smtp": (b"EHLO x", b"250 ")}[
            tongue.name
        ]
        client.send(question + b"\r\n")
        offered = b" ".join(client.upto(end))
    assert b"PLAIN" in offered
    assert b"EXTERNAL" not in offered
