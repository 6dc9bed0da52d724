"""The error log: lines in nginx's format, levels, targets, reopening; and the escaping of what others chose.

A line is ``YYYY/MM/DD HH:MM:SS [LEVEL] PID#0: *N MESSAGE``, local time, cut at 2048 bytes, written
with one write call to a descriptor opened for appending, so that lines of several processes never mix. A syslog
server gets the same line behind a header of its own (``syslog.py``).

Nothing a client, an upstream or an authentication service sent may enter a line unescaped: callers put it
through ``quoted``. Passwords, tokens, tickets and keys are never given to this module at all.
"""

import math
import os
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from .syslog import Connection, SyslogServer

MAX_LINE_BYTES = 2048  # longer lines are cut, as nginx does; keeps one line one atomic append
NOTICE_SECONDS = 1.0  # between two notices of lost lines of one syslog server


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


Target: TypeAlias = "str | SyslogServer | None"


@dataclass(frozen=True, slots=True)
class Sink:
    """What one ``error_log`` names, and the least severe level.

    ``target`` is an absolute path, a syslog server, or None for standard error.
    """

    target: Target
    level: Level


class Output(ABC):
    """An open place for lines. Shared by all logs that name it, so that it is opened once."""

    __slots__ = ()

    @abstractmethod
    def emit(self, level: Level, line: bytes) -> None:
        """Take one whole line, with its line break. Never raises: no log is worth a session."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; nothing is emitted any more."""


class FileOutput(Output):
    """A file, or standard error, which is given as None."""

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

    def emit(self, level: Level, line: bytes) -> None:  # noqa: ARG002 - the line says it
        try:
            os.write(self.fd, line)
        except OSError:
            return  # a full disk; there is nowhere left to say it

    def close(self) -> None:
        if self.path is not None and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class SyslogOutput(Output):
    """A syslog server. A line that it does not take is lost; the log says so where it can.

    That is at once on standard error, which in a daemon is its first log file, and to the server itself when it
    takes lines again. ``clock`` gives seconds.
    """

    __slots__ = ("_clock", "_connection", "_lost", "_quiet_until")

    def __init__(self, server: SyslogServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = Connection(server)
        self._clock = clock
        self._lost = 0
        self._quiet_until = {False: -math.inf, True: -math.inf}  # by whether the server itself is told

    def emit(self, level: Level, line: bytes) -> None:
        error = self._connection.send(level - Level.EMERG, line[:-1])
        if error is None:
            if self._lost and self._may_speak(True):
                notice = format_line(Level.WARN, f"{self._lost} lines before the last one were lost")
                if self._connection.send(Level.WARN - Level.EMERG, notice[:-1]) is None:
                    self._lost = 0
            return
        self._lost += 1
        if self._lost == 1 and self._may_speak(False):
            reason = f"({error.errno}: {error.strerror})"
            text = f"syslog server {self._connection.server.address} takes no lines {reason}, they are lost"
            FileOutput(None).emit(Level.ALERT, format_line(Level.ALERT, text))

    def _may_speak(self, to_server: bool) -> bool:
        """A server that is only slow takes one line and loses the next; notices must not make that worse."""
        now = self._clock()
        if now < self._quiet_until[to_server]:
            return False
        self._quiet_until[to_server] = now + NOTICE_SECONDS
        return True

    def close(self) -> None:
        self._connection.close()


class Outputs:
    """Every output of the process, opened once each."""

    def __init__(self) -> None:
        self._open: dict[Target, Output] = {}
        self._stderr_redirected = False

    def open(self, target: Target) -> Output:
        """The output for ``target``. Raises OSError, with the file's name in it."""
        if target not in self._open:
            self._open[target] = SyslogOutput(target) if isinstance(target, SyslogServer) else FileOutput(target)
        return self._open[target]

    def log(self, sinks: Sequence[Sink]) -> "Log":
        """A log that writes to ``sinks``. Raises OSError, with the file's name in it."""
        return Log([(sink.level, self.open(sink.target)) for sink in sinks])

    def prune(self, logs: Iterable["Log"]) -> None:
        """Close every output that none of ``logs`` writes to."""
        used = {output for log in logs for output in log.outputs}
        for target, output in tuple(self._open.items()):
            if output not in used:
                del self._open[target]
                output.close()
        if self._stderr_redirected:
            self.redirect_stderr()

    def _files(self) -> list[FileOutput]:
        return [output for output in self._open.values() if isinstance(output, FileOutput)]

    def redirect_stderr(self) -> None:
        """For a daemon: what anything prints goes to the first log file, unless a log *is* standard error.

        Otherwise the terminal, or the pipe of whoever started us, would stay open for as long as we run. Where
        there is no file, it goes nowhere.
        """
        if None in self._open:
            return
        self._stderr_redirected = True
        files = self._files()
        if files:
            os.dup2(files[0].fd, 2)
            return
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, 2)
        os.close(null)

    def reopen(self, owner: int | None = None) -> list[OSError]:
        """Reopen all files; the errors of those that stayed as they were.

        ``owner``: the user id that the files are given to, so that it can open them too.
        """
        errors = []
        for output in self._files():
            try:
                output.reopen()
                if owner is not None and output.path is not None and stat.S_ISREG(os.fstat(output.fd).st_mode):
                    os.fchown(output.fd, owner, -1)
            except OSError as error:
                errors.append(error)
        if self._stderr_redirected:
            self.redirect_stderr()
        return errors


def format_line(level: Level, message: str, connection: int = 0) -> bytes:
    """One whole line of this process. ``connection`` is the session's number, 0 outside sessions."""
    stamp = time.strftime("%Y/%m/%d %H:%M:%S")
    number = f"*{connection} " if connection else ""
    text = f"{stamp} [{level.word}] {os.getpid()}#0: {number}{message}"
    return _encoded(text).replace(b"\n", b" ")[: MAX_LINE_BYTES - 1] + b"\n"


class Log:
    """Outputs, each with its level. ``threshold`` is the least severe level that anyone receives.

    Ask ``wants`` before building an expensive message: most session events are ``info``, and the
    default level is ``error``.
    """

    __slots__ = ("_targets", "threshold")

    def __init__(self, targets: Sequence[tuple[Level, Output]]) -> None:
        self._targets = tuple(targets)
        self.threshold = max((level for level, _ in targets), default=Level.EMERG)

    @property
    def outputs(self) -> tuple[Output, ...]:
        return tuple(output for _, output in self._targets)

    def wants(self, level: Level) -> bool:
        return level <= self.threshold

    def write(self, level: Level, message: str, connection: int = 0) -> None:
        """Write one line. ``connection`` is the session's number, 0 outside sessions. Never raises."""
        if level > self.threshold:
            return
        line = format_line(level, message, connection)
        for least, output in self._targets:
            if level <= least:
                output.emit(level, line)
