"""proxy_pass: everybody goes to the one backend, which decides."""

import asyncio
import dataclasses
import socket

import pytest

from gatepost.address import Address, unix
from gatepost.auth.backend import FixedBackend
from gatepost.auth.message import Accepted
from gatepost.errors import AuthError
from gatepost.protocol.events import Account

from .service import REQUEST

ADDRESS = Address(socket.AF_INET6, "::1", 143)


@pytest.mark.parametrize("address", [ADDRESS, unix("/run/imap")])
def test_an_account_that_is_still_to_be_proven(address: Address) -> None:
    found = asyncio.run(FixedBackend(address).ask(REQUEST))
    assert found == Accepted(address, Account(b"user", b"pass", proven=False), str(address))


def test_the_backend_decides() -> None:
    backend = FixedBackend(ADDRESS)
    backend.close()
    assert backend.backend_decides


def test_what_is_no_password_is_not_sent_as_one() -> None:
    credentials = dataclasses.replace(REQUEST.credentials, method="cram-md5", cleartext=False)
    with pytest.raises(AuthError) as caught:
        asyncio.run(FixedBackend(ADDRESS).ask(dataclasses.replace(REQUEST, credentials=credentials)))
    assert str(caught.value) == "no password to log in with at [::1]:143: cram-md5 does not reveal it"
