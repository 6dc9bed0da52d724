"""The error log: lines in nginx's format, levels, targets, reopening; and the escaping of what others chose.

A line is ``YYYY/MM/DD HH:MM:SS [LEVEL] PID#0: *N MESSAGE``, local time, cut at 2048 bytes, written
with one write call to a descriptor opened for appending, so that lines of several processes never mix.

Nothing a client, an upstream or an authentication service sent may enter a line unescaped: callers put it
through ``quoted``. Passwords, tokens, tickets and keys are never given to this module at all.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
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


def _encoded(text: str) -> bytes:
    """``text`` in UTF-8; bytes of file names that are not UTF-8 come out as they went in."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Sink:
    """What one ``error_log`` names: an absolute path, or None for standard error; and the least severe level."""

    path: str | None
    level: Level


class Output:
    """An open place for lines. Shared by all logs that name it, so that reopening happens once."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str | None) -> None:
        """Raises OSError when the file cannot be opened."""
        self.path = path
        self.fd = -1
        self.reopen()

    def reopen(self) -> None:
        """Open the path anew, for log rotation. On OSError the old descriptor stays in use."""
        if self.path is None:
            self.fd = 2
            return
        fresh = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        stale, self.fd = self.fd, fresh
        if stale >= 0:
            os.close(stale)

    def emit(self, line: bytes) -> None:
        """Append one line. Never raises: a full disk ends no session."""
        try:
            os.write(self.fd, line)
        except OSError:
            return  # there is nowhere left to say it; losing a line is better than losing mail


class Outputs:
    """Every output of the process, opened once each."""

    def __init__(self) -> None:
        self._open: dict[str | None, Output] = {}
        self._stderr_redirected = False

    def log(self, sinks: Sequence[Sink]) -> "Log":
        """A log that writes to ``sinks``. Raises OSError, with the file's name in it."""
        targets = []
        for sink in sinks:
            if sink.path not in self._open:
                self._open[sink.path] = Output(sink.path)
            targets.append((sink.level, self._open[sink.path]))
        return Log(targets)

    def redirect_stderr(self) -> None:
        """For a daemon: what anything prints goes to the first log file, unless a log *is* standard error.

        Otherwise the terminal, or the pipe of whoever started us, would stay open for as long as we run.
        """
        if None not in self._open and self._open:
            self._stderr_redirected = True
            os.dup2(next(iter(self._open.values())).fd, 2)

    def reopen(self, owner: int | None = None) -> list[OSError]:
        """Reopen all files; the errors of those that stayed as they were.

        ``owner``: the user id that the files are given to, so that it can open them too.
        """
        errors = []
        for output in self._open.values():
            try:
                output.reopen()
                if owner is not None and output.path is not None:
                    os.fchown(output.fd, owner, -1)
            except OSError as error:
                errors.append(error)
        if self._stderr_redirected:
            self.redirect_stderr()
        return errors


class Log:
    """Outputs, each with its level. ``threshold`` is the least severe level that anyone receives.

    Ask ``wants`` before building an expensive message: most session events are ``info``, and the
    default level is ``error``.
    """

    __slots__ = ("_targets", "threshold")

    def __init__(self, targets: Sequence[tuple[Level, Output]]) -> None:
        self._targets = tuple(targets)
        self.threshold = max((level for level, _ in targets), default=Level.EMERG)

    def wants(self, level: Level) -> bool:
        return level <= self.threshold

    def write(self, level: Level, message: str, connection: int = 0) -> None:
        """Write one line. ``connection`` is the session's number, 0 outside sessions. Never raises."""
        if level > self.threshold:
            return
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        number = f"*{connection} " if connection else ""
        text = f"{stamp} [{level.word}] {os.getpid()}#0: {number}{message}"
        line = _encoded(text).replace(b"\n", b" ")[: MAX_LINE_BYTES - 1] + b"\n"
        for least, output in self._targets:
            if level <= least:
                output.emit(line)


class SessionLog:
    """The log of one session: what every line of it ends with, kept up to date as the session goes on.

    ``action`` is what we are doing (``SSL handshaking``); ``login`` is raw and escaped when shown;
    ``client``, ``server`` and ``upstream`` are texts of addresses.
    """

    __slots__ = ("action", "client", "log", "login", "number", "server", "starttls", "upstream")

    def __init__(self, log: Log, number: int, client: str, server: str) -> None:
        self.log = log
        self.number = number
        self.client = client
        self.server = server
        self.action = ""
        self.starttls = False
        self.login = b""
        self.upstream = ""

    def write(self, level: Level, message: str) -> None:
        """Write ``message``, already escaped, with the suffix nginx's operators know."""
        if level > self.log.threshold:
            return
        parts = [message]
        if self.action:
            parts.append(f" while {self.action}")
        parts.append(f", client: {self.client}")
        if self.starttls:
            parts.append(" using starttls")
        parts.append(f", server: {self.server}")
        if self.login:
            parts.append(f', login: "{quoted(self.login)}"')
        if self.upstream:
            parts.append(f", upstream: {self.upstream}")
        self.log.write(level, "".join(parts), self.number)
