"""Child processes of the tests: output into a file, started and ended by id, never left behind."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from .waiting import LIMIT_SECONDS

_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"  # daemons live where users do not look


def program(name: str) -> str:
    """The full path of a program. Raises RuntimeError with the Debian package that brings it."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        packages = {"dovecot": "dovecot-imapd dovecot-pop3d", "swaks": "swaks libnet-ssleay-perl"}
        package = packages.get(name, name)
        raise RuntimeError(f"the functional tests need {name}: apt-get install {package}")
    return found


class Process:
    """A child in a process group of its own. ``output`` holds what it wrote to stdout and stderr."""

    def __init__(self, command: Sequence[str], output: Path, env: dict[str, str] | None = None) -> None:
        self.command = tuple(command)
        self.output = output
        with open(output, "ab") as sink:
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, env=env
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._child.poll()

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, limit_seconds: float = LIMIT_SECONDS) -> int:
        """Exit status. Raises TimeoutError with the child's output."""
        try:
            return self._child.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.command[0]} did not end: {self.text()}") from None

    def stop(self, limit_seconds: float = LIMIT_SECONDS) -> int:
        """End it with SIGTERM; with SIGKILL for the whole group, and an error, if it does not obey."""
        if self.status is None:
            self.signal(signal.SIGTERM)
            try:
                self._child.wait(limit_seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._child.wait(limit_seconds)
                raise TimeoutError(f"{self.command[0]} ignored SIGTERM: {self.text()}") from None
        return self._child.wait(limit_seconds)


def children(pid: int) -> tuple[int, ...]:
    """Process ids of the children of ``pid``, in the order the kernel keeps them; empty when it is gone."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return ()
    found: list[int] = []
    for task in tasks:
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file,
        ):
            found += map(int, file.read().split())
    return tuple(found)


def alive(pid: int) -> bool:
    """Whether ``pid`` is a process that has not ended (a zombie has)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def connections(pid: int) -> int:
    """How many TCP connections over IPv4 a process holds. One that was reset counts until it is closed."""
    others = set()
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as file:
        others |= {line.split()[9] for line in file if line.split()[3] == "0A"}  # TCP_LISTEN; by inode
    with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="replace") as file:
        others |= {line.split()[6] for line in file}
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            found += target.startswith("socket:") and target[8:-1] not in others
    return found


def memory_kib(pid: int) -> int:
    """Resident memory of one process."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        (line,) = (line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1])
