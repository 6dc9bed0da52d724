"""Listening sockets that somebody else has opened for us: the master before us, nginx, or systemd.

All three leave them open across exec and say in an environment variable which descriptors they are. What they are
bound to is asked of the kernel. A ``listen`` with that address then uses the socket, with the connections that wait
in its queue, instead of making one.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass

from gatepost.address import Address

from .listener import Bound

FIRST_FD = 3  # below are the standard streams, which nobody passes as sockets
MAX_FDS = 65536  # more sockets than a configuration can sensibly have; a larger number is a mistake
_MAX_DIGITS = 9  # of a descriptor, which is an int in C
_SYSTEMD_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


@dataclass(frozen=True, slots=True)
class Passed:
    """A descriptor that we were told of, and what it is called in messages. ``lent`` as in ``Bound``."""

    fd: int
    name: str
    lent: bool = False


def from_systemd(environment: MutableMapping[str, str], pid: int) -> list[Passed]:
    """Descriptors passed as sd_listen_fds(3) describes, if they are meant for process ``pid``.

    The variables are removed, so that no process that we start takes them for its own.
    """
    told, count, names, _ = (environment.pop(name, "") for name in _SYSTEMD_VARIABLES)
    if told != str(pid):
        return []
    fds = range(FIRST_FD, FIRST_FD + min(_number(count) or 0, MAX_FDS))
    called = names.split(":") if names else []
    return [
        Passed(fd, called[index] if index < len(called) else "unknown", lent=True) for index, fd in enumerate(fds)
    ]


def from_nginx(environment: MutableMapping[str, str]) -> list[Passed]:
    """Descriptors that an nginx whose binary was changed passes: their numbers, each with a semicolon behind it.

    The variable is removed. What is no number is passed over.
    """
    words = environment.pop("NGINX", "").split(";")[:MAX_FDS]
    return [Passed(fd, f"nginx's {fd}") for word in words if (fd := _number(word)) is not None]


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) <= _MAX_DIGITS else None


def adopt(passed: Iterable[Passed], warn: Callable[[str], None]) -> tuple[Bound, ...]:
    """The listening sockets among ``passed``, ready for use.

    What is none is reported and left alone: if somebody has told us nonsense, it may be a file of our own.
    """
    adopted: list[Bound] = []
    for one in dict.fromkeys(passed):
        try:
            adopted.append(_adopt(one))
        except OSError as error:
            warn(f'descriptor {one.fd} ("{one.name}") was passed, but is no listening socket: {error.strerror}')
    return tuple(adopted)


def _adopt(passed: Passed) -> Bound:
    """Raises OSError."""
    if passed.fd < FIRST_FD:
        raise OSError(0, "it is a standard stream")
    if not stat.S_ISSOCK(os.fstat(passed.fd).st_mode):
        raise OSError(0, "it is no socket")
    sock = socket.socket(fileno=passed.fd)
    try:
        if sock.family not in _FAMILIES or sock.type is not socket.SOCK_STREAM:
            raise OSError(0, "it is for other kinds of traffic")
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(0, "it does not listen")
        os.set_inheritable(passed.fd, False)
        sock.setblocking(False)
        return Bound(_address(sock), sock, passed.lent)
    except OSError:
        sock.detach()
        raise


def _address(sock: socket.socket) -> Address:
    name = sock.getsockname()
    if sock.family is socket.AF_UNIX:
        return Address(socket.AF_UNIX, os.fsdecode(name))
    return Address(sock.family, name[0].partition("%")[0], name[1])  # an address of one link shows the link, too


def close_unused(adopted: Iterable[Bound], used: Iterable[socket.socket], warn: Callable[[str], None]) -> None:
    """Close those of ``adopted`` whose socket is not among ``used``: nobody would accept what comes to them."""
    taken = {id(sock) for sock in used}
    for bound in adopted:
        if id(bound.socket) not in taken:
            warn(f'the listening socket {bound.address} was passed, but no "listen" has its address: closed')
            bound.socket.close()
