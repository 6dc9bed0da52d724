"""The service manager's end of ``NOTIFY_SOCKET``: hears what is said, and who said it."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .waiting import LIMIT_SECONDS

_CREDENTIALS = struct.Struct("3i")  # process, user, group
_MAX_BYTES = 4096  # as systemd takes them


@dataclass(frozen=True)
class Message:
    """One datagram, the process that sent it, and the assignments in it."""

    pid: int
    values: dict[str, str]

    def says(self, **values: str) -> bool:
        return all(self.values.get(name) == value for name, value in values.items())


class ServiceManager:
    """Listens at ``address``: a path, or ``@NAME`` for an abstract one. ``messages`` only grows."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[Message] = []
        self._news = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        if not address.startswith("@"):
            os.chmod(address, 0o777)  # as systemd's: who is believed is another question
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.connect(self._socket.getsockname())
            last.send(b"")
        self._thread.join(LIMIT_SECONDS)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(_MAX_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
            if not data:
                return
            (pid,) = {_CREDENTIALS.unpack(blob)[0] for _, kind, blob in ancillary if kind == socket.SCM_CREDENTIALS}
            values = dict(line.split("=", 1) for line in data.decode().split("\n"))
            with self._news:
                self.messages.append(Message(pid, values))
                self._news.notify_all()

    def wait_for(self, wanted: Callable[[Message], bool], since: int = 0) -> int:
        """The number of messages up to and with the first wanted one behind the first ``since``."""
        deadline = time.monotonic() + LIMIT_SECONDS
        at = since
        with self._news:
            while True:
                while at < len(self.messages):
                    at += 1
                    if wanted(self.messages[at - 1]):
                        return at
                if not self._news.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"nothing of the kind was said, only {self.messages[since:]}")
