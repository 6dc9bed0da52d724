"""``proxy_pass``: no authentication service; every login goes to one backend, which decides."""

import asyncio

from gatepost.address import Address
from gatepost.errors import AuthError
from gatepost.protocol.events import Account

from . import Wait
from .message import Accepted, Refused, Request


class FixedBackend:
    """Accepts everybody in good faith: the account is not ``proven``, so the login upstream must prove it."""

    backend_decides = True

    def __init__(self, address: Address) -> None:
        self._address = address
        self._shown = str(address)

    async def ask(self, request: Request, wait: Wait = asyncio.sleep) -> Accepted | Refused:  # noqa: ARG002
        """Raises AuthError for credentials that hold no password, since nobody here could check them."""
        credentials = request.credentials
        if not credentials.cleartext:
            raise AuthError(f"no password to log in with at {self._shown}: {credentials.method} does not reveal it")
        return Accepted(self._address, Account(credentials.user, credentials.secret, proven=False), self._shown)

    def close(self) -> None:
        """Nothing is kept open."""
