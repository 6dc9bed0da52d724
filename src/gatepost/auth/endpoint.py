"""Where the authentication service, or the one backend, is: text of the configuration -> address, once, at start.

Names are resolved here, by the system's resolver, and only the first address counts (IPv4 before IPv6, as in
nginx): a service that moves needs a reload, and a service with many addresses belongs behind a balancer.
"""

from dataclasses import dataclass

from gatepost.address import Address, unix
from gatepost.config.hosts import HostError, addresses_of, host_and_port
from gatepost.config.kinds import to_bytes
from gatepost.errors import ConfigError

HTTP_PORT = 80
MAX_PATH_BYTES = 107  # of a unix socket; sun_path of Linux without its NUL
UNIX_PREFIX = "unix:"


@dataclass(frozen=True, slots=True)
class AuthUrl:
    """``auth_http``, understood. ``host`` and ``uri`` go into the request as they are."""

    address: Address
    host: bytes
    uri: bytes
    shown: str  # as written, without http://


def auth_url(text: str) -> AuthUrl:
    """``[http://]HOST[:PORT][/URI]``, ``[V6]:PORT/URI`` or ``unix:PATH[:URI]``. Raises ConfigError."""
    shown = text.removeprefix("http://")
    try:
        if shown.startswith(UNIX_PREFIX):
            path, _, uri = shown.removeprefix(UNIX_PREFIX).partition(":")
            address, host = _unix(path), "localhost"
        else:
            place, uri = _cut_uri(shown)
            host, port = host_and_port(place, HTTP_PORT)
            address = addresses_of(host, port)[0]
        # Both stand in a line of the request; a line break or a space less would make another request of it.
        if not host.isprintable():
            raise HostError("invalid host")
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in uri):
            raise HostError("invalid URI")
    except HostError as error:
        raise ConfigError(f'{error.message} in auth_http "{shown}"') from error
    return AuthUrl(address, to_bytes(host), to_bytes(uri or "/"), shown)


def backend_address(text: str) -> Address:
    """``HOST[:PORT]``, ``[V6][:PORT]`` or ``unix:PATH``; port 0 where none is given. Raises ConfigError."""
    try:
        if text.startswith(UNIX_PREFIX):
            return _unix(text.removeprefix(UNIX_PREFIX))
        host, port = host_and_port(text, 0)
        return addresses_of(host, port)[0]
    except HostError as error:
        raise ConfigError(f'{error.message} in proxy_pass "{text}"') from error


def _cut_uri(text: str) -> tuple[str, str]:
    """The URI begins at the first ``/`` or ``?``, whichever comes first."""
    starts = [at for at in (text.find("/"), text.find("?")) if at >= 0]
    at = min(starts, default=len(text))
    return text[:at], text[at:]


def _unix(path: str) -> Address:
    if not path:
        raise HostError("no path in the unix domain socket")
    if len(to_bytes(path)) > MAX_PATH_BYTES:
        raise HostError("too long path in the unix domain socket")
    return unix(path)
