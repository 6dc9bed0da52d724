"""The error log: lines in nginx's format, levels, targets, reopening; and the escaping of what others chose.

A line is ``YYYY/MM/DD HH:MM:SS [LEVEL] PID#0: *N MESSAGE``, local time, cut at 2048 bytes, written
with one write call to a descriptor opened for appending, so that lines of several processes never mix.

Nothing a client, an upstream or an authentication service sent may enter a line unescaped: callers put it
through ``quoted``. Passwords, tokens, tickets and keys are never given to this module at all.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

MAX_LINE_BYTES = 2048  # longer lines are cut, as nginx does; keeps one line one atomic append


class Level(IntEnum):
    """Severities, most severe first. A target takes its own level and everything more severe."""

    EMERG = 1
    ALERT = 2
    CRIT = 3
    ERROR = 4
    WARN = 5
    NOTICE = 6
    INFO = 7
    DEBUG = 8

    @property
    def word(self) -> str:
        return self.name.lower()


def quoted(data: bytes, limit: int = 1024) -> str:
    """``data`` as printable ASCII: control, quote, backslash and 8-bit bytes become ``\\xHH``.

    ``limit`` is in bytes of ``data``; what is beyond is cut and shown as ``...``.
    """
    shown = data[:limit]
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02X}" for byte in shown)
    return text + "..." if len(data) > limit else text


@dataclass(slots=True)
class Target:
    """One place that lines go to. ``path`` is absolute, or None for standard error."""

    path: str | None
    level: Level
    fd: int = field(default=-1, compare=False)

    def open(self) -> None:
        """Open or reopen; on failure the old descriptor stays. Raises OSError."""
        if self.path is None:
            self.fd = sys.__stderr__.fileno() if sys.__stderr__ else 2
            return
        fresh = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = fresh

    def close(self) -> None:
        if self.path is not None and self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class Log:
    """A set of targets. ``threshold`` is the least severe level that anyone receives.

    Ask ``wants`` before building an expensive message: most session events are ``info``, and the
    default level is ``error``.
    """

    __slots__ = ("targets", "threshold")

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self.threshold = max((target.level for target in targets), default=Level.EMERG)

    def wants(self, level: Level) -> bool:
        return level <= self.threshold

    def write(self, level: Level, message: str, connection: int | None = None) -> None:
        """Write one line. ``connection`` is the session's number. Never raises: a full disk ends no session."""
        if level > self.threshold:
            return
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        number = "" if connection is None else f"*{connection} "
        text = f"{stamp} [{level.word}] {os.getpid()}#0: {number}{message}"
        raw = text.encode("utf-8", "surrogateescape").replace(b"\n", b" ")[: MAX_LINE_BYTES - 1] + b"\n"
        for target in self.targets:
            if level <= target.level and target.fd >= 0:
                try:
                    os.write(target.fd, raw)
                except OSError:
                    # There is nowhere left to say it; losing a line is better than losing mail.
                    continue
