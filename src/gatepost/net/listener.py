"""Listening sockets: bound by the master, inherited by the workers.

Theory of operation. Where there are several workers, each gets a socket of its own for a TCP address, a *lane*: the
kernel then spreads the connections evenly, and wakes one worker for each (``docs/why/0009``). All lanes are the
master's, so a queue outlives the worker that should have served it. A lane is never closed while its address stays:
what waits in it would be reset. Nobody else joins: the first socket is bound alone, and so finds out, as ever,
whether the address is in use.
"""

import contextlib
import errno
import os
import socket
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.address import Address
from gatepost.config.listen import IPPROTO_MPTCP, Listen
from gatepost.errors import ConfigError

from .bind_plan import Bind

BIND_TRIES = 5  # an old process may still be closing the same address, so nginx tries again, and so do we
BIND_PAUSE_SECONDS = 0.5
UNIX_MODE = 0o666  # who may connect is the business of the directory, as with nginx


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A listening socket that is already there, and what it is bound to.

    ``lent``: whoever opened it, such as systemd, listens on it too and looks after its file.
    """

    address: Address
    socket: socket.socket
    lent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A listening socket and which server its connections belong to. ``lent`` as in ``Bound``."""

    bind: Bind
    socket: socket.socket
    lent: bool = False

    @property
    def bound(self) -> Bound:
        """Its socket, for another ``Listener`` to use."""
        return Bound(self.bind.address, self.socket, self.lent)

    def close(self) -> None:
        self.socket.close()

    def remove(self) -> None:
        """Close, and take a unix socket's file away: nobody listens there any more. Idempotent."""
        if self.socket.fileno() < 0:
            return  # the file, if there is one, may be a successor's
        self.socket.close()
        if self.bind.address.family is socket.AF_UNIX and not self.lent:
            with contextlib.suppress(OSError):
                os.unlink(self.bind.address.host)


def open_all(
    binds: tuple[Bind, ...], notice: Callable[[str], None], kept: Sequence[Bound] = (), lanes: int = 1
) -> tuple[Listener, ...]:
    """Open all sockets, or none: raises ConfigError when one cannot be bound. ``notice`` hears of second tries.

    The sockets of ``kept`` that have the right address are used as they are, with the connections that wait in
    their queues; they get the options that can change on an open socket. When something fails, ``kept`` is as it
    was. There are ``lanes`` listeners of a TCP address, or as many as can be; more, if more were kept.
    """
    known: dict[Address, list[Bound]] = {}
    for bound in kept:
        known.setdefault(bound.address, []).append(bound)
    opened: list[Listener] = []
    fresh: list[Listener] = []
    everywhere: list[list[Listener]] = []
    try:
        for bind in binds:
            siblings = [Listener(bind, found.socket, found.lent) for found in known.get(bind.address, ())]
            if not siblings:
                fresh.append(Listener(bind, _open_patiently(bind, notice)))
                siblings.append(fresh[-1])
            everywhere.append(siblings)
        # Only when nothing can fail any more: from its first moment a lane is sent clients, who would be reset.
        for siblings in everywhere:
            while len(siblings) < lanes and (lane := _lane(siblings, notice)):
                fresh.append(lane)
                siblings.append(lane)
            opened += siblings
    except ConfigError:
        for listener in fresh:
            listener.remove()
        raise
    for listener in opened:
        if listener not in fresh:
            _adjust(listener, notice)
    return tuple(opened)


def _lane(siblings: Sequence[Listener], notice: Callable[[str], None]) -> Listener | None:
    """One more listener beside ``siblings``; None where there cannot be one, and workers share what there is."""
    bind = siblings[0].bind
    if bind.address.family is socket.AF_UNIX or any(listener.lent for listener in siblings):
        return None  # a lender would not know of it, and it could not be handed back
    try:
        for listener in siblings:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return Listener(bind, _open(bind, joins=True))
    except OSError as error:
        notice(
            f"workers share the socket of {bind.address} ({error.errno}: {os.strerror(error.errno or errno.EIO)})"
        )
        return None


def _adjust(listener: Listener, notice: Callable[[str], None]) -> None:
    """Give a socket that was there before the options that its ``listen`` asks for, as far as it takes them."""
    sock, bind = listener.socket, listener.bind
    try:
        _set_options(sock, bind)
        sock.listen(bind.listen.backlog)
        if bind.address.family is socket.AF_INET6:
            is_v6only = bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
            if is_v6only is not bind.listen.ipv6only:
                has, wanted = ("on", "off") if is_v6only else ("off", "on")
                notice(f"{bind.address} stays with ipv6only={has}: {wanted} would need a new socket")
    except OSError as error:
        notice(f"options of {bind.address} cannot be set ({error.errno}: {os.strerror(error.errno or errno.EIO)})")


def _open_patiently(bind: Bind, notice: Callable[[str], None]) -> socket.socket:
    for attempt in range(1, BIND_TRIES + 1):
        try:
            return _open(bind)
        except OSError as error:
            text = f"bind() to {bind.address} failed ({error.errno}: {os.strerror(error.errno or errno.EIO)})"
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(text, bind.listen.where) from error
            notice(text)
            if attempt == BIND_TRIES:
                raise ConfigError(f"{text}, still could not bind()", bind.listen.where) from error
            notice("try again to bind() after 500ms")
            time.sleep(BIND_PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


def _open(bind: Bind, *, joins: bool = False) -> socket.socket:
    """One listening socket, non-blocking, which ``joins`` others of ours. Raises OSError."""
    address, listen = bind.address, bind.listen
    sock = _socket(address.family, listen)
    try:
        if address.family is socket.AF_UNIX:
            _bind_unix(sock, address.host)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.family is socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(listen.ipv6only))
            if joins:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address.sockaddr)
        _set_options(sock, bind)
        sock.listen(listen.backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _socket(family: socket.AddressFamily, listen: Listen) -> socket.socket:
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    if listen.multipath and family is not socket.AF_UNIX:
        try:
            return socket.socket(family, kind, IPPROTO_MPTCP)
        except OSError as error:
            if error.errno not in (errno.EPROTONOSUPPORT, errno.ENOPROTOOPT, errno.EINVAL):
                raise  # a kernel without MPTCP gets a plain TCP socket; reading the configuration warned
    return socket.socket(family, kind)


def _set_options(sock: socket.socket, bind: Bind) -> None:
    """What accepted connections get from the listening socket. Raises OSError."""
    listen = bind.listen
    if bind.address.family is not socket.AF_UNIX:
        # Without it tickets and greeting meet delayed ACKs, 40 ms per login.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _keepalive(sock, listen)
    if listen.rcvbuf is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, listen.rcvbuf)
    if listen.sndbuf is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, listen.sndbuf)


def _keepalive(sock: socket.socket, listen: Listen) -> None:
    if listen.keepalive is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(listen.keepalive is not False))
    if isinstance(listen.keepalive, tuple):
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        for option, value in zip(options, listen.keepalive, strict=True):
            if value:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _bind_unix(sock: socket.socket, path: str) -> None:
    """Bind to ``path``. A socket file that nobody listens on any more is replaced; a live one is in use."""
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise
        # Without waiting: a busy owner's queue may be full, and that tells enough.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            if probe.connect_ex(path) != errno.ECONNREFUSED:
                raise
        os.unlink(path)
        sock.bind(path)
    os.chmod(path, UNIX_MODE)
