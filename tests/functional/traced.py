"""A gateway that strace watches: which system calls its worker makes, in order, and how many."""

import os
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .gateway import command, write_configuration
from .ports import claim_port
from .process import Process, children, program
from .waiting import wait_until

_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")


@dataclass(frozen=True, slots=True)
class Call:
    """One finished system call. ``failed``: it had nothing for us, or went wrong."""

    name: str
    result: int
    text: str

    @property
    def failed(self) -> bool:
        return self.result < 0


class Traced:
    """A running daemon with one worker, started by strace. ``{0}``... in ``mail`` are claimed ports.

    strace is the parent: so it needs no rights over processes that have changed their user.
    """

    def __init__(self, directory: Path, mail: str, ports: int = 1) -> None:
        self._directory = directory
        self._trace = directory / "trace"
        self.ports: Sequence[int] = [claim_port() for _ in range(ports)]
        write_configuration(directory, mail.format(*self.ports))
        strace = (program("strace"), "-f", "-q", "-s", "0", "-o", str(self._trace))
        self._process = Process((*strace, *command(directory)), directory / "output")
        try:
            wait_until(self._started, "the daemon and its worker to start under strace")
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # strace lets no signal through to itself; it ends with the last process that it watches.
        if self._process.status is None and self._pid:
            os.kill(self._pid, signal.SIGTERM)
            self._process.wait()
        self._process.stop()

    def _started(self) -> bool:
        if self._process.status is not None:
            raise RuntimeError(f"the daemon ended: {self._process.text()}")
        return bool(self._pid and children(self._pid))

    @property
    def _pid(self) -> int:
        """The master; 0 before it has said so."""
        path = self._directory / "gatepost.pid"
        text = path.read_text().strip() if path.exists() else ""
        return int(text or 0)

    @property
    def worker(self) -> int:
        (pid,) = children(self._pid)
        return pid

    def wait_until_asleep(self) -> None:
        """Return when the worker has nothing to do. What is sent to it before this is called wakes it at once."""
        pid = self.worker
        wait_until(lambda: _state(pid) == "S", "the worker to fall asleep", step_seconds=0.001)

    def calls(self) -> list[Call]:
        """All calls of the worker that have been finished and written down so far."""
        return list(_parse(self._trace.read_text(errors="replace"), self.worker))


def _parse(text: str, pid: int) -> Iterator[Call]:
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or int(match[1]) != pid or " = " not in line:
            continue  # another process, a signal, or the first half of a call that is in progress
        result = line.rpartition(" = ")[2].split()[0]
        yield Call(match[2] or match[3], int(result, 0) if result != "?" else 0, line)


def _state(pid: int) -> str:
    """S for asleep; R and t for at work, the latter while strace looks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]
