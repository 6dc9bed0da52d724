"""Forking and reaping: performs what the supervisor decided."""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.log import Level, Log

CRASH_STATUS = 70  # EX_SOFTWARE: the worker ended by an error of ours


@dataclass(frozen=True, slots=True)
class Death:
    """A child that was reaped. ``status`` is its exit status, negative for the signal that killed it."""

    pid: int
    status: int


def spawn(work: Callable[[], int], log: Log) -> int:
    """Fork a child that does ``work`` and exits with what it returns; the child's process id.

    Signals that are blocked here are blocked there, until ``work`` is ready for them. The child never returns into
    the master's code, whatever happens.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = CRASH_STATUS
    try:
        status = work()
    except BaseException as error:  # noqa: BLE001 - the last frame of the process: log it and go
        last = traceback.extract_tb(error.__traceback__)[-1]
        log.write(Level.ALERT, f"worker failed: {type(error).__name__} at {last.filename}:{last.lineno}")
    finally:
        os._exit(status)


def reap() -> list[Death]:
    """Every child that has ended since the last call. Never blocks."""
    found: list[Death] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        found.append(Death(pid, os.waitstatus_to_exitcode(status)))
