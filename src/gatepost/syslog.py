"""Lines to a syslog daemon: datagrams in the form of RFC 3164, as nginx sends them.

    <22>Nov  6 09:05:10 HOST TAG: LINE

Theory of operation. A datagram is sent at once or not at all: the socket never blocks and nothing is queued, so
that a syslog daemon that hangs, is restarted or does not exist costs a line and never a session. A daemon that was
restarted has a new socket under the old name; the first line that the old one refuses makes a new connection. The
socket is made when the first line comes, in each process for itself.
"""

import os
import socket
import time
from dataclasses import dataclass

from .address import Address

PORT = 514  # of a server that is named without one (RFC 5426)
MAX_TAG_BYTES = 32  # RFC 3164 section 4.1.3; daemons take the rest of a longer one for the message

# In the order of their numbers, which begin at 0; nginx's names (RFC 3164 section 4.1.1 has none).
FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news"),
    *("uucp", "clock", "authpriv", "ftp", "ntp", "audit", "alert", "cron"),
    *("local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class SyslogServer:
    """Whom to send to, and how lines look there. ``address`` is of a unix datagram socket, or of UDP.

    ``hostname``: whether lines say which machine they are from; a daemon of the same machine adds that itself.
    """

    address: Address
    facility: str = "local7"
    tag: str = "gatepost"
    hostname: bool = True


class Connection:
    """One process's way to a server."""

    __slots__ = ("_facility", "_name", "_socket", "server")

    def __init__(self, server: SyslogServer) -> None:
        self.server = server
        self._facility = FACILITIES.index(server.facility) * 8
        host = f"{os.uname().nodename.lower()} " if server.hostname else ""
        self._name = f" {host}{server.tag}: ".encode("utf-8", "surrogateescape")
        self._socket: socket.socket | None = None

    def send(self, severity: int, line: bytes) -> OSError | None:
        """Send ``line``, which has no line break; why not, where that fails. Never waits.

        ``severity`` is 0 (emergency) to 7 (debug), RFC 3164 section 4.1.1.
        """
        now = time.localtime()
        stamp = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
        datagram = b"<%d>%s%s%s" % (self._facility + severity, stamp.encode("ascii"), self._name, line)
        try:
            if self._socket is not None:
                try:
                    self._socket.send(datagram)
                    return None
                except BlockingIOError:
                    raise  # it is there, and has no room: another connection would lead to the same queue
                except OSError:
                    # A daemon that was restarted; or, with UDP, news of an earlier datagram, not of this one.
                    self.close()
            self._connect().send(datagram)
        except OSError as error:
            return error
        return None

    def _connect(self) -> socket.socket:
        """Raises OSError."""
        address = self.server.address
        sock = socket.socket(address.family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(address.sockaddr)
        except OSError:
            sock.close()
            raise
        self._socket = sock
        return sock

    def close(self) -> None:
        """The next line connects anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
