"""Where a server listens. It stands with the language because the directives of several packages look at it."""

from dataclasses import dataclass
from typing import ClassVar

from .directive import SERVER, Repeat, directive
from .listen import LISTEN, Listen


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """The listeners of a server, in the order they were written."""

    TITLE: ClassVar[str] = "Listening"

    listen: tuple[Listen, ...] = directive(
        LISTEN,
        SERVER,
        default="",
        repeat=Repeat.ADDS,
        required=True,
        doc="""Where to accept connections. Each address and port belongs to one server: neither SNI nor
        anything else chooses among several.

        The address is a port (``143``, all IPv4 addresses), ``*:143``, ``192.0.2.1:143``,
        ``[2001:db8::1]:143``, ``[::]:143`` (all IPv6 addresses), a host name with a port, which stands for each
        of its addresses and is looked up once, at start, or ``unix:path``. A range of ports
        (``127.0.0.1:8143-8145``) stands for each of them. The first known port decides the protocol of the
        server where ``protocol`` does not: 110 and 995 POP3, 143 and 993 IMAP, 25, 465 and 587 SMTP. None of
        them switches TLS on. A socket that systemd, or a program before this one, passes on for the same
        address is used.

        * ``ssl`` means TLS from the first byte.
        * ``proxy_protocol`` means that each connection begins with a PROXY header, of version 1 or 2. See
          ``set_real_ip_from``.
        * ``backlog=number`` is the length of the queue of connections that no worker has accepted yet: 511
          unless given, and at most ``net.core.somaxconn``.
        * ``rcvbuf=size`` and ``sndbuf=size`` are the sizes of the socket's buffers, instead of the system's.
        * ``ipv6only=off`` lets an IPv6 wildcard take IPv4 connections, too.
        * ``so_keepalive=on`` has the system notice clients that are gone (``off``: not); with three values, any
          of which may be empty, also how: the time until the first probe, the time between two, and their
          number.
        * ``multipath`` accepts Multipath TCP where the system has it, and warns where not.
        * ``bind`` gives the address a socket of its own, although a wildcard with the same port would cover it;
          each of the parameters from ``backlog`` on does, too.""",
    )


SETTINGS: tuple[type, ...] = (ListenSettings,)
