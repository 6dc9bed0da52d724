"""A syslog daemon on a unix socket of its own: what it was sent, and nothing more."""

import socket
from pathlib import Path
from typing import Any

from gatepost.address import unix
from gatepost.syslog import SyslogServer


class Daemon:
    """Takes datagrams at ``path`` from its making on, in place of one that was there; ended with its block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)  # as /dev/log is: workers are not root
        self.socket.setblocking(False)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def server(self, **parameters: Any) -> SyslogServer:
        return SyslogServer(unix(str(self.path)), **parameters)

    def datagrams(self) -> list[bytes]:
        """All that have come since the last time."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(65536))
            except BlockingIOError:
                return found

    def texts(self) -> list[str]:
        return [datagram.decode() for datagram in self.datagrams()]
