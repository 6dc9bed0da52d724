"""A binary upgrade of a daemon under test: the new master is a child of the old one, and outlives it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .gateway import Gateway
from .process import alive, children
from .waiting import wait_until


def pid_in(path: Path) -> int:
    """The process id in a pid file; 0 if there is none, or it is just being written."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return 0


def pid_file(gateway: Gateway) -> Path:
    return gateway.directory / "gatepost.pid"


def old_pid_file(gateway: Gateway) -> Path:
    return gateway.directory / "gatepost.pid.oldbin"


@contextmanager
def upgraded(gateway: Gateway, master: int = 0) -> Iterator[int]:
    """Tell the master, or the one with the process id ``master``, to start its successor; that one's process id,
    when its workers are there. It is ended at the end of the block.
    """
    master = master or gateway.process.pid
    os.kill(master, signal.SIGUSR2)
    wait_until(lambda: pid_in(pid_file(gateway)) not in (0, master), "the pid file of a new master")
    successor = pid_in(pid_file(gateway))
    gateway.successors.add(successor)
    try:
        wait_until(lambda: len(children(successor)) == gateway.count, "its workers")
        yield successor
    finally:
        end(gateway, successor)


def end(gateway: Gateway, pid: int, number: signal.Signals = signal.SIGTERM) -> None:
    """End a master, and wait until it is gone with its workers."""
    workers = [child for child in children(pid) if child not in gateway.successors]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    try:
        wait_until(lambda: not any(map(alive, (pid, *workers))), f"process {pid} and its workers to end")
    except TimeoutError:
        for left in (pid, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
        raise
