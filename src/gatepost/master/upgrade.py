"""A new program takes over from a running one, without closing a listener or a session.

Theory of operation, as in nginx. On USR2 the master starts the program anew, as its child. The new master inherits
the listening sockets, so both accept from the same queues and nobody is refused. The pid file of the old one moves
aside, the new one writes its own. The operator then ends one of the two: the old one finishes its sessions (QUIT),
or the new one goes and the old one takes its pid file back. What both use while both run is removed by neither:
files of unix sockets, and the runtime directory, in which TLS sessions and ticket keys live on.

What is inherited stands in one environment variable, as JSON: a later version may add fields, and passes over
those that it does not know.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from gatepost.log import Level, Log
from gatepost.net.inherited import Passed, adopt, from_nginx, from_systemd
from gatepost.net.listener import Bound, Listener
from gatepost.store.runtime import RuntimeDirectory

from .command import Command
from .pidfile import PidFile
from .spawn import Death

VARIABLE = "GATEPOST"
EXEC_SECONDS = 5.0  # for exec to fail or succeed; after that it is taken for slow, and the master serves on
_ERRNO_BYTES = 16
_REFUSAL = (
    "the changing binary signal is ignored: "
    "you should shutdown or terminate before either old or new binary's process"
)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What this process was started with.

    ``predecessor`` is the process id of the master that started it, ``runtime`` that master's runtime directory.
    ``succeeds``: whether another master started it, so that it is in the background already, if it is to be.
    """

    sockets: tuple[Bound, ...] = ()
    predecessor: int | None = None
    runtime: str | None = None
    succeeds: bool = False


def receive(environment: MutableMapping[str, str], warn: Callable[[str], None]) -> Inheritance:
    """What a master before us, nginx or systemd passed to us. The variables that tell of it are removed."""
    lent = from_systemd(environment, os.getpid())
    by_nginx = from_nginx(environment)
    text = environment.pop(VARIABLE, None)
    if text is not None:
        try:
            return _parsed(text, warn)
        except (ValueError, TypeError, KeyError):
            warn(f"what the environment says in {VARIABLE} cannot be understood")
    if by_nginx:
        return Inheritance(adopt(by_nginx, warn), _nginx(os.getppid()), succeeds=True)
    return Inheritance(adopt(lent, warn))


def _parsed(text: str, warn: Callable[[str], None]) -> Inheritance:
    """Raises ValueError, TypeError, KeyError."""
    told = json.loads(text)
    passed = [
        *(Passed(int(fd), "the old master's") for fd in told["sockets"]),
        *(Passed(int(fd), "the old master's", lent=True) for fd in told["lent"]),
    ]
    runtime = told["runtime"]
    if not isinstance(runtime, str | None):
        raise TypeError("a path is a string")
    return Inheritance(adopt(passed, warn), int(told["master"]), runtime, succeeds=True)


def _nginx(pid: int) -> int | None:
    """``pid`` if that is an nginx. It does not tell its process id, and may have died since."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return pid if file.read().startswith(b"nginx") else None
    except OSError:
        return None


class Upgrade:
    """What a master knows of the one before it and the one after it."""

    def __init__(self, command: Command, pid_file: PidFile, predecessor: int | None = None) -> None:
        self._command = command
        self._pid_file = pid_file
        self._predecessor = predecessor
        self.successor: int | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no other master uses the same sockets and files."""
        return self.successor is None and not self.is_heir()

    def is_heir(self) -> bool:
        """Whether the master that started us still runs."""
        # A dead parent is replaced by another process at once, and its number is not given away before.
        return self._predecessor == os.getppid()

    def begin(self, listeners: Sequence[Listener], runtime: RuntimeDirectory, log: Log) -> None:
        """Start the successor. When that is not possible the log says why, and all is as it was."""
        if not self.is_alone:
            log.write(Level.CRIT, _REFUSAL)
            return
        log.write(Level.NOTICE, "changing binary")
        try:
            self._pid_file.step_aside()
        except OSError as error:
            text = f'rename() "{self._pid_file.path}" failed ({error.errno}: {error.strerror})'
            log.write(Level.ALERT, f"{text}, the binary is not changed")
            return
        environment = {**os.environ, VARIABLE: _told(listeners, runtime.path)}
        try:
            self.successor = execute(self._command, environment, [each.socket.fileno() for each in listeners])
        except OSError as error:
            text = f'execve() "{self._command.path}" failed ({error.errno}: {error.strerror})'
            log.write(Level.ALERT, f"{text}, the binary is not changed")
            self._take_back(log)
        else:
            log.write(Level.NOTICE, f"start new binary process {self.successor}")

    def ended(self, death: Death, log: Log) -> bool:
        """Whether it was the successor that ended. We are then what ``-s`` finds again."""
        if death.pid != self.successor:
            return False
        self.successor = None
        how = f"with code {death.status}" if death.status >= 0 else f"on signal {-death.status}"
        level = Level.ALERT if death.status else Level.NOTICE
        log.write(level, f"new binary process {death.pid} exited {how}")
        self._take_back(log)
        return True

    def _take_back(self, log: Log) -> None:
        try:
            self._pid_file.take_back()
        except OSError as error:
            log.write(Level.ALERT, f'rename() "{self._pid_file.path}" failed ({error.errno}: {error.strerror})')


def _told(listeners: Sequence[Listener], runtime: str | None) -> str:
    fds: dict[bool, list[int]] = {False: [], True: []}
    for listener in listeners:
        fds[listener.lent].append(listener.socket.fileno())
    return json.dumps({"sockets": fds[False], "lent": fds[True], "runtime": runtime, "master": os.getpid()})


def execute(command: Command, environment: Mapping[str, str], fds: Iterable[int]) -> int:
    """Start a program that gets ``fds`` beside the standard streams; its process id. Raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()  # exec closes the writing end; what comes before that is why it failed
    pid = os.fork()
    if not pid:
        _become(command, environment, fds, writing)
    os.close(writing)
    try:
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        said = os.read(reading, _ERRNO_BYTES) if poll.poll(EXEC_SECONDS * 1000) else b""
    finally:
        os.close(reading)
    if said:
        os.waitpid(pid, 0)
        raise OSError(int(said), os.strerror(int(said)))
    return pid


def _become(command: Command, environment: Mapping[str, str], fds: Iterable[int], report: int) -> NoReturn:
    """In the child: never returns."""
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        # Exec keeps what is blocked and what is ignored; a new program begins with neither.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(command.path, command.arguments, environment)
    except OSError as error:
        os.write(report, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)
