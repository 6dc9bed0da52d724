"""Where the authentication service, or the one backend, is: text of the configuration -> address, once, at start.

Names are resolved here, by the system's resolver, and only the first address counts (IPv4 before IPv6, as in
nginx): a service that moves needs a reload, and a service with many addresses belongs behind a balancer.
"""

import socket
from dataclasses import dataclass

from gatepost.address import Address, from_literal, unix
from gatepost.config.kinds import to_bytes
from gatepost.errors import ConfigError

HTTP_PORT = 80
MAX_PATH_BYTES = 107  # of a unix socket; sun_path of Linux without its NUL
UNIX_PREFIX = "unix:"
NOT_RESOLVED = frozenset("[]/?#@\\")  # in no host name: a value with one of them is a mistake, not a look-up


@dataclass(frozen=True, slots=True)
class AuthUrl:
    """``auth_http``, understood. ``host`` and ``uri`` go into the request as they are."""

    address: Address
    host: bytes
    uri: bytes
    shown: str  # as written, without http://


class _AddressError(Exception):
    """What is wrong with an address, in the words of the error texts (``no host``)."""


def auth_url(text: str) -> AuthUrl:
    """``[http://]HOST[:PORT][/URI]``, ``[V6]:PORT/URI`` or ``unix:PATH[:URI]``. Raises ConfigError."""
    shown = text.removeprefix("http://")
    try:
        if shown.startswith(UNIX_PREFIX):
            path, _, uri = shown.removeprefix(UNIX_PREFIX).partition(":")
            address, host = _unix(path), "localhost"
        else:
            place, uri = _cut_uri(shown)
            host, port = _host_and_port(place, HTTP_PORT)
            address = _resolved(host, port)
        # Both stand in a line of the request; a line break or a space less would make another request of it.
        if not host.isprintable():
            raise _AddressError("invalid host")
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in uri):
            raise _AddressError("invalid URI")
    except _AddressError as error:
        raise ConfigError(f'{error} in auth_http "{shown}"') from error
    return AuthUrl(address, to_bytes(host), to_bytes(uri or "/"), shown)


def backend_address(text: str) -> Address:
    """``HOST[:PORT]``, ``[V6][:PORT]`` or ``unix:PATH``; port 0 where none is given. Raises ConfigError."""
    try:
        if text.startswith(UNIX_PREFIX):
            return _unix(text.removeprefix(UNIX_PREFIX))
        host, port = _host_and_port(text, 0)
        return _resolved(host, port)
    except _AddressError as error:
        raise ConfigError(f'{error} in proxy_pass "{text}"') from error


def _cut_uri(text: str) -> tuple[str, str]:
    """The URI begins at the first ``/`` or ``?``, whichever comes first."""
    starts = [at for at in (text.find("/"), text.find("?")) if at >= 0]
    at = min(starts, default=len(text))
    return text[:at], text[at:]


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    """The host keeps its brackets."""
    if text.startswith("["):
        inside, bracket, behind = text.partition("]")
        if not bracket or (behind and not behind.startswith(":")):
            raise _AddressError("invalid host")
        host, colon, port = inside + bracket, behind[:1], behind[1:]
    else:
        host, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and len(port) <= 8 and 1 <= int(port) <= 65535):
        raise _AddressError("invalid port")
    if not host:
        raise _AddressError("no host")
    return host, int(port) if colon else default


def _unix(path: str) -> Address:
    if not path:
        raise _AddressError("no path in the unix domain socket")
    if len(to_bytes(path)) > MAX_PATH_BYTES:
        raise _AddressError("too long path in the unix domain socket")
    return unix(path)


def _resolved(host: str, port: int) -> Address:
    if host.startswith("["):
        try:
            address = from_literal(host, port)
        except ValueError:
            raise _AddressError("invalid IPv6 address") from None
        if address.family is not socket.AF_INET6:
            raise _AddressError("invalid IPv6 address")
        return address
    try:
        return from_literal(host, port)
    except ValueError:
        pass  # a name
    if NOT_RESOLVED.intersection(host) or not host.isprintable():
        raise _AddressError("invalid host")
    try:
        # Bytes, because for text the idna codec would be loaded.
        found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError):
        raise _AddressError("host not found") from None
    family, _, _, _, place = min(found, key=lambda entry: entry[0] is not socket.AF_INET)
    return Address(family, str(place[0]), port)
