"""Telling the service manager: systemd's protocol of notifications, which others speak as well.

A message is one datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names (sd_notify(3));
nothing is ever answered. A socket is made for each message, so that no child inherits one. That somebody
listens is no condition of serving: what cannot be sent is logged once and forgotten.
"""

import os
import re
import socket
import time
from collections.abc import Mapping, MutableMapping

from gatepost.log import Level, Log

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_FOR = "WATCHDOG_PID"
# Workers talk to strangers: none of them is to speak for the service.
VARIABLES = (SOCKET, WATCHDOG, WATCHDOG_FOR)

SEND_SECONDS = 2.0  # the receiver's queue may be full while the machine starts; the master does not hang for that
MAX_STATUS_CHARACTERS = 1000  # of STATUS: systemd takes datagrams of 4096 bytes, and an operator reads one line


class Notifier:
    """Who is to be told. Without an address, nobody: every method does nothing."""

    def __init__(self, address: str | None, log: Log, watchdog_seconds: float | None = None) -> None:
        """``watchdog_seconds``: how long the service manager waits for a sign of life; None: it does not."""
        self._address = address
        self._log = log
        self._watchdog_seconds = watchdog_seconds
        self._failed = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], log: Log) -> "Notifier":
        """Whom ``environment`` names. What makes no sense in it is logged and passed over."""
        name = environment.get(SOCKET)
        if not name:
            return cls(None, log)
        address = _address(name)
        if address is None:
            log.write(
                Level.WARN, f"{SOCKET} is neither a path nor an abstract address, the service is not announced"
            )
            return cls(None, log)
        return cls(address, log, _watchdog_seconds(environment, log))

    @property
    def speaks(self) -> bool:
        return self._address is not None

    @property
    def watchdog_seconds(self) -> float | None:
        return self._watchdog_seconds if self.speaks else None

    def send(self, *assignments: str) -> None:
        """One message. Values must be ``plain``. Never raises, and blocks for ``SEND_SECONDS`` at most."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_SECONDS)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._failed:
                said = f"{error.errno}: {error.strerror}" if error.errno else str(error)
                self._log.write(Level.WARN, f"sendto() to {SOCKET} failed ({said}), the service is not announced")
            self._failed = True
        else:
            self._failed = False

    # What can be said

    def ready(self, status: str) -> None:
        """Also after a reload. The process id is that of whoever says it."""
        self.send("READY=1", f"MAINPID={os.getpid()}", _status(status))

    def reloading(self) -> None:
        """The time lets ``Type=notify-reload`` tell this answer from one to an earlier signal."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", _status("reloading"))

    def stopping(self, status: str) -> None:
        self.send("STOPPING=1", _status(status))

    def status(self, text: str) -> None:
        self.send(_status(text))

    def alive(self) -> None:
        self.send("WATCHDOG=1")

    def patience(self, seconds: float) -> None:
        """From now on, let the watchdog wait for so long."""
        self.send(f"{WATCHDOG}={int(seconds * 1_000_000)}")

    def main_pid(self, pid: int) -> None:
        """A process that we have started is the service from now on. Believed only when the present one says it."""
        self.send(f"MAINPID={pid}")


def forget(environment: MutableMapping[str, str]) -> None:
    """For a worker: take everything out that would let it, or what it may become, speak for the service."""
    for name in VARIABLES:
        environment.pop(name, None)


def _address(name: str) -> str | None:
    """As the socket module wants it: abstract ones begin with NUL."""
    if name.startswith("/"):
        return name
    return "\0" + name[1:] if name.startswith("@") and len(name) > 1 else None


def _watchdog_seconds(environment: Mapping[str, str], log: Log) -> float | None:
    """``WATCHDOG_PID`` is not asked: it names the process that was started, which may be a daemon's parent or the
    master before an upgrade. Whoever is not meant is not listened to either.
    """
    text = environment.get(WATCHDOG)
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,16}", text) or not int(text):
        log.write(Level.WARN, f"{WATCHDOG} is not a number of microseconds, ignored")
        return None
    return int(text) / 1_000_000


def _status(text: str) -> str:
    return "STATUS=" + plain(text)[:MAX_STATUS_CHARACTERS]


def plain(text: str) -> str:
    """``text`` as one line: whatever would begin another assignment becomes a blank."""
    return "".join(character if character.isprintable() else " " for character in text)
