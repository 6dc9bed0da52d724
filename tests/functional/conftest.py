"""Servers that all stories of one test process share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import Certificates
from .dovecot import Dovecot
from .gateway import Gateway
from .letters import Backend
from .line_client import LineClient
from .maildrop import Door
from .postfix import make_backend


@pytest.fixture(scope="session")
def dovecot(scratch: Path) -> Iterator[Dovecot]:
    directory = scratch / "dovecot"
    directory.mkdir()
    server = Dovecot(directory)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def smtp_backend(scratch: Path, dovecot: Dovecot) -> Iterator[Backend]:
    directory = scratch / "postfix"
    directory.mkdir()
    server = make_backend(directory, dovecot)
    yield server
    server.stop()


@pytest.fixture(params=["TLS", "STLS"])
def door(gateway: Gateway, certificates: Certificates, request: pytest.FixtureRequest) -> Door:
    """Each way into a POP3 gateway (of the story's own) whose first port has TLS and whose second has STLS."""
    stls = request.param == "STLS"
    return Door(gateway.ports[stls], stls, certificates)


@pytest.fixture
def inside(door: Door) -> Iterator[LineClient]:
    """A client behind that door, before its login."""
    with door.lines() as connected:
        yield connected
