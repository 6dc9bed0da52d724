"""Names of hosts in DNS: which one to ask for, and which one to believe. Pure.

Names come from c-ares in presentation form (RFC 1035 section 5.1): a byte that cannot be printed is ``\\DDD``; a
dot, backslash or other special character inside a label has a backslash before it. So a name without a backslash
holds exactly the bytes that one sees.
"""

import re
import socket

# What is said instead of a name: no host name can be one of them.
UNAVAILABLE = b"[UNAVAILABLE]"  # the client has none, or nobody is asked
TEMPORARILY = b"[TEMPUNAVAIL]"  # that could not be found out now

# What may reach an authentication service and XCLIENT. 253 characters are what fits the 255 bytes on the wire.
_HOST_NAME = re.compile(rb"[A-Za-z0-9.-]{1,253}")
_ESCAPE = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)


def is_host_name(name: bytes) -> bool:
    """Whether ``name`` (presentation form) is of letters, digits, hyphens and dots only, and of a name's length."""
    return _HOST_NAME.fullmatch(name) is not None


def raw(name: bytes) -> bytes:
    """The bytes of a name in presentation form; for the log, which escapes them its own way."""

    def byte(match: re.Match[bytes]) -> bytes:
        escaped = match[1]
        return bytes([int(escaped) & 0xFF]) if len(escaped) == 3 else escaped

    return _ESCAPE.sub(byte, name)


def packed(host: str) -> bytes:
    """4 or 16 bytes of a numeric address; a zone (``%eth0``) does not count. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.inet_pton(family, host.partition("%")[0])


def reverse_name(address: bytes) -> str:
    """The name whose PTR record names the host at ``address``: RFC 1035 section 3.5, RFC 3596 section 2.5."""
    if len(address) == 4:
        return ".".join(map(str, reversed(address))) + ".in-addr.arpa"
    return ".".join(reversed(address.hex())) + ".ip6.arpa"
