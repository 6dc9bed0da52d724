"""What the authentication service is asked, and what its answer means. Pure.

The request is nginx's, header by header in nginx's order, so that a service written for nginx sees no difference;
only the request line says HTTP/1.1 where nginx says 1.0, which is how a connection comes to serve many logins.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from gatepost.address import Address, unix
from gatepost.errors import AuthError
from gatepost.log import quoted
from gatepost.net.proxy_protocol import Proxied
from gatepost.protocol.events import Account
from gatepost.sasl.mechanism import Credentials
from gatepost.tls.facts import Facts

from .endpoint import MAX_PATH_BYTES, UNIX_PREFIX
from .response import Answer

MAX_KNOWN_BACKENDS: Final = 1024  # addresses that need not be read again; about 300 bytes each
MAX_WAIT_SECONDS: Final = 86400  # a day outlasts every client; more is a mistake of the service

_UNIX: Final = UNIX_PREFIX.encode()
_ESCAPED: Final = re.compile(rb"[\x00-\x20%]")
_MAX_WAIT_DIGITS: Final = 18  # nginx ignores what does not fit 64 bits


@dataclass(slots=True, init=False)
class Request:
    """One attempt to log in.

    ``attempt`` counts from 1 within the session. ``client_ip`` has no port (``unix:`` for unix sockets).
    ``tls`` is None in the clear. ``extra`` are more lines, sent as they are; they must not hold CR or LF.
    ``proxied`` is what a proxy in front has recorded, if it has.
    """

    credentials: Credentials
    protocol: str
    attempt: int
    client_ip: str
    tls: Facts | None
    client_host: bytes | None
    extra: tuple[tuple[bytes, bytes], ...]
    proxied: Proxied | None

    def __init__(
        self,
        credentials: Credentials,
        protocol: str,
        attempt: int,
        client_ip: str,
        tls: Facts | None = None,
        client_host: bytes | None = None,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        proxied: Proxied | None = None,
    ) -> None:
        self.credentials = credentials
        self.protocol = protocol
        self.attempt = attempt
        self.client_ip = client_ip
        self.tls = tls
        self.client_host = client_host
        self.extra = extra
        self.proxied = proxied


@dataclass(slots=True, init=False)
class Accepted:
    """Log ``account`` in at ``address``. ``shown`` is the address as the log shows it (``::1:143``)."""

    address: Address
    account: Account
    shown: str

    def __init__(self, address: Address, account: Account, shown: str) -> None:
        self.address = address
        self.account = account
        self.shown = shown


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell the client ``text``; after ``wait_seconds`` and then go on, or at once and then close if that is 0.

    ``code`` is an SMTP reply code with or without an enhanced one, or empty. ``user`` is the login name that the
    service gave instead of the client's.
    """

    text: bytes
    wait_seconds: float = 0
    code: bytes = b""
    user: bytes | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """Ask again after ``seconds``; 0 where the service did not say. ``user``: the name to ask for from now on."""

    seconds: float
    user: bytes | None = None


Verdict: TypeAlias = Accepted | Refused | Postponed


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of every request that are the same for all logins at one server of the configuration.

    Either often holds a secret that the operator shares with the service, so they stay out of ``repr``.
    """

    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    pass_certificate: bool = False


def layout(
    host: bytes, uri: bytes, headers: Sequence[tuple[bytes, bytes]], *, pass_certificate: bool = False
) -> Layout:
    """``headers`` are the operator's own. ``pass_certificate``: send clients' certificates, too."""
    own = b"".join(b"\r\n%b: %b" % header for header in headers)
    return Layout(
        b"GET %b HTTP/1.1\r\nHost: %b\r\nAuth-Method: " % (uri, host), own + b"\r\n\r\n", pass_certificate
    )


def escape(data: bytes) -> bytes:
    """Controls, space and ``%`` as ``%XX``: what could end a line or be taken for an escape."""
    return _ESCAPED.sub(lambda match: b"%%%02X" % match[0][0], data)


def request_bytes(request: Request, frame: Layout) -> bytes:
    """The whole request. Lines that are absent have no header at all; the order never changes."""
    credentials = request.credentials
    parts = [
        frame.head,
        credentials.method.encode(),
        b"\r\nAuth-User: ",
        escape(credentials.user),
        b"\r\nAuth-Pass: ",
        escape(credentials.secret),
    ]
    if credentials.salt:
        parts += (b"\r\nAuth-Salt: ", credentials.salt)
    parts.append(
        f"\r\nAuth-Protocol: {request.protocol}\r\nAuth-Login-Attempt: {request.attempt}"
        f"\r\nClient-IP: {request.client_ip}".encode()
    )
    if request.client_host is not None:
        parts += (b"\r\nClient-Host: ", request.client_host)
    if request.proxied is not None:
        parts += _proxied_lines(request.proxied)
    for name, value in request.extra:
        parts += (b"\r\n", name, b": ", value)
    if request.tls is not None:
        parts += _tls_lines(request.tls)
        if request.tls.verify:
            parts += _certificate_lines(request.tls, frame.pass_certificate)
    parts.append(frame.tail)
    return b"".join(parts)


def _proxied_lines(proxied: Proxied) -> tuple[bytes, ...]:
    return (
        b"\r\nProxy-Protocol-Addr: ",
        proxied.source,
        b"\r\nProxy-Protocol-Port: ",
        proxied.source_port,
        b"\r\nProxy-Protocol-Server-Addr: ",
        proxied.destination,
        b"\r\nProxy-Protocol-Server-Port: ",
        proxied.destination_port,
    )


def _tls_lines(facts: Facts) -> tuple[bytes, ...]:
    return (
        b"\r\nAuth-SSL: on\r\nAuth-SSL-Protocol: ",
        facts.protocol,
        b"\r\nAuth-SSL-Cipher: ",
        facts.cipher,
    )


def _certificate_lines(facts: Facts, pass_certificate: bool) -> list[bytes]:
    """A name may be empty; such a line is left out."""
    lines = [b"\r\nAuth-SSL-Verify: ", facts.verify]
    for name, value in (
        (b"\r\nAuth-SSL-Subject: ", facts.subject),
        (b"\r\nAuth-SSL-Issuer: ", facts.issuer),
        (b"\r\nAuth-SSL-Serial: ", facts.serial),
        (b"\r\nAuth-SSL-Fingerprint: ", facts.fingerprint),
        (b"\r\nAuth-SSL-Cert: ", escape(facts.certificate()) if pass_certificate else b""),
    ):
        if value:
            lines += (name, value)
    return lines


def verdict(answer: Answer, credentials: Credentials, server: str, *, needs_password: bool) -> Verdict:
    """What the service decided about ``credentials``.

    ``server`` is the service as errors name it. ``needs_password``: the login upstream cannot do without one;
    where it can (SMTP), an empty error text is no error either. Raises AuthError when the answer is unusable.
    """
    fields = answer.fields
    user = fields.get(b"auth-user")
    error: bytes | None = None
    wait = False
    for word in answer.verdicts:
        if word == b"WAIT":
            wait = True
        elif word != b"OK":
            error = word
    if error is not None and (error or needs_password):
        return Refused(error, _seconds(fields), fields.get(b"auth-error-code", b""), user)
    if wait:
        return Postponed(_seconds(fields), user)
    return _accepted(answer, credentials, server, needs_password)


def _accepted(answer: Answer, credentials: Credentials, server: str, needs_password: bool) -> Accepted:
    fields = answer.fields
    host = fields.get(b"auth-server", b"")
    port = fields.get(b"auth-port", b"")
    path = host.startswith(_UNIX)
    if not host or not (port or path):
        odd = "" if 200 <= answer.status < 300 or not answer.status else f" (HTTP status {answer.status})"
        raise AuthError(f"auth http server {server} did not send server or port{odd}")
    user = fields.get(b"auth-user", credentials.user)
    password = fields.get(b"auth-pass", credentials.secret if credentials.cleartext else None)
    if password is None and needs_password:
        raise AuthError(f"auth http server {server} did not send password")
    # No protocol's login can carry a NUL, and some servers end a string there.
    if b"\0" in user:
        raise AuthError(f"auth http server {server} sent invalid user name")
    if password is not None and b"\0" in password:
        raise AuthError(f"auth http server {server} sent invalid password")
    account = Account(user, password, proven=True)
    backend = _backend(host, port)
    if backend is not None:
        return Accepted(backend.address, account, backend.shown)
    if not path and _numeric(host) is not None:
        raise AuthError(f'auth http server {server} sent invalid server port:"{quoted(port)}"')
    raise AuthError(f'auth http server {server} sent invalid server address:"{quoted(host)}"')


class _Backend(NamedTuple):
    address: Address
    shown: str


@lru_cache(MAX_KNOWN_BACKENDS)
def _backend(host: bytes, port: bytes) -> _Backend | None:
    """Where a login goes; None if it cannot go there. Most services name the same few backends all day."""
    if host.startswith(_UNIX):
        path = _socket_path(host)
        return None if path is None else _Backend(unix(path), quoted(host))
    numeric, number = _numeric(host), _port(port)
    if numeric is None or number is None:
        return None
    return _Backend(Address(*numeric, number), f"{host.decode()}:{port.decode()}")


def _seconds(fields: dict[bytes, bytes]) -> float:
    """Auth-Wait; 0 where it is absent or not a number."""
    value = fields.get(b"auth-wait", b"")
    if not value.isdigit() or len(value) > _MAX_WAIT_DIGITS:
        return 0
    return min(int(value), MAX_WAIT_SECONDS)


def _port(text: bytes) -> int | None:
    digits = text.lstrip(b"0")
    if not text.isdigit() or not 1 <= len(digits) <= 5 or int(digits) > 65535:
        return None
    return int(digits)


def _socket_path(text: bytes) -> str | None:
    path = text[len(_UNIX) :]
    if not path.startswith(b"/") or b"\0" in path or len(path) > MAX_PATH_BYTES:
        return None
    return path.decode("utf-8", "surrogateescape")


def _numeric(text: bytes) -> tuple[socket.AddressFamily, str] | None:
    """A numeric address. Host names are refused: a look-up would hold every login up."""
    try:
        host = text.decode("ascii")
    except UnicodeDecodeError:
        return None
    family = socket.AF_INET
    if ":" in host:
        family = socket.AF_INET6
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return _lenient_ipv4(host)
    return family, host


def _lenient_ipv4(text: str) -> tuple[socket.AddressFamily, str] | None:
    """Four numbers with dots between them, zero-padded or left out where they are zero, as nginx takes them."""
    groups = text.split(".")
    if len(groups) != 4:
        return None
    numbers: list[int] = []
    for group in groups:
        digits = group.lstrip("0") or "0"
        if not (digits.isdigit() and len(digits) <= 3 and int(digits) <= 255):
            return None
        numbers.append(int(digits))
    return socket.AF_INET, ".".join(map(str, numbers))
