"""The pid file: how ``-s SIGNAL`` and the init system find the master."""

import contextlib
import os

from gatepost.errors import ConfigError

MODE = 0o644


def write(path: str) -> None:
    """Write our process id. Raises ConfigError if the file cannot be made."""
    try:
        with open(path, "w", opener=_opener) as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        raise ConfigError(f'open() "{path}" failed ({error.errno}: {error.strerror})') from error


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, MODE)


def remove(path: str) -> None:
    """Remove the file if it still is ours: a new master may have written its own."""
    with contextlib.suppress(OSError, ValueError):
        if read(path) == os.getpid():
            os.unlink(path)


def read(path: str) -> int:
    """The process id in the file. Raises OSError, or ValueError when it holds anything else."""
    with open(path, "rb") as file:
        text = file.read(32).strip()
    pid = int(text)
    if pid <= 0:
        raise ValueError(f"{pid} is not a process id")
    return pid
