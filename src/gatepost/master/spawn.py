"""Forking and reaping: performs what the supervisor decided."""

import contextlib
import gc
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.libc import trim_heap
from gatepost.log import Level, Log

CRASH_STATUS = 70  # EX_SOFTWARE: the worker ended by an error of ours


@dataclass(frozen=True, slots=True)
class Death:
    """A child that was reaped. ``status`` is its exit status, negative for the signal that killed it."""

    pid: int
    status: int


def share_memory() -> None:
    """Before workers are forked: lay out what they inherit so that they leave it where it is, shared with us.

    What they write to, they get a copy of. The garbage collector writes to every object that it looks at, so it
    looks once, here, and never again at what exists now. Free memory is written to when it is used: it is given
    back. Once for each configuration: what is laid out anew is not shared with workers that live already.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim_heap()


def spawn(work: Callable[[], int], log: Log) -> int:
    """Fork a child that does ``work`` and exits with what it returns; the child's process id.

    Raises OSError when there can be no more processes. Signals that are blocked here are blocked there, until
    ``work`` is ready for them. The child never returns into the master's code, whatever happens.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it may have been closed when we were started
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.flush()
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
