"""The pid file: how ``-s SIGNAL`` and the init system find the master.

Theory of operation. A number in a file says little: the process may have died, and another may have its number by
now. So a master holds a lock on its file for as long as it lives. It is a record lock (``fcntl(2)``): the kernel
tells everybody who can read the file which process holds it, only who can write the file can take it, and forked
workers do not get it. Where the file system has no locks, the number alone has to do.
"""

import contextlib
import errno
import fcntl
import os
import struct

from gatepost.errors import ConfigError

MODE = 0o644
OLD_SUFFIX = ".oldbin"  # of a master that has started its successor; nginx's word, which operators' scripts know
_MAX_BYTES = 32  # more than any number of a process has digits
_TRIES = 3  # a master that ends at the same moment may remove the file that we have just opened
_FLOCK = struct.Struct("@hhqqi")  # struct flock: l_type, l_whence, l_start, l_len, l_pid


class PidFile:
    """The pid file of this process."""

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    @property
    def path(self) -> str:
        return self._path

    def check(self) -> None:
        """Raises ConfigError if the file is that of another master that still runs, or cannot be made."""
        look(self._path)
        with contextlib.suppress(OSError):
            self._refuse(owner(self._path))

    def write(self) -> None:
        """Write our process id and hold the file. Raises ConfigError if it is another's or cannot be made."""
        try:
            self._fd = self._claim()
            text = b"%d\n" % os.getpid()
            os.pwrite(self._fd, text, 0)
            os.ftruncate(self._fd, len(text))
        except OSError as error:
            raise ConfigError(f'open() "{self._path}" failed ({error.errno}: {error.strerror})') from error

    def _claim(self) -> int:
        """The file, open and locked. Raises OSError, ConfigError."""
        for _ in range(_TRIES):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    return fd  # no locks here
                found = _owner(fd)
                os.close(fd)
                self._refuse(found)
                # Only a lock for reading: of somebody who may look at the file, but has no say about it.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path)
                continue
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self._path), os.fstat(fd)):
                    return fd
            os.close(fd)
        raise FileExistsError(errno.EEXIST, "it is removed again and again")

    def _refuse(self, pid: int | None) -> None:
        if pid is not None:
            raise ConfigError(f'"{self._path}" is the pid file of process {pid}, which is running')

    def move(self, path: str) -> None:
        """Be at ``path`` from now on. Raises ConfigError; the file is then where it was."""
        if os.path.realpath(path) == os.path.realpath(self._path):
            return  # another word for the same file
        fresh = PidFile(path)
        fresh.write()
        self.remove()
        self._path, self._fd = fresh.path, fresh._fd

    def step_aside(self) -> None:
        """Make room for the file of a successor. Raises OSError."""
        aside = self._path + OLD_SUFFIX
        os.rename(self._path, aside)
        self._path = aside

    def take_back(self) -> None:
        """The successor is gone: be what ``-s`` finds again, whatever it left. Raises OSError."""
        path = self._path.removesuffix(OLD_SUFFIX)
        os.rename(self._path, path)
        self._path = path

    def remove(self) -> None:
        """At an orderly end. A file that others have put in the place of ours stays. Idempotent."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._fd)):
                os.unlink(self._path)
        self.let_go()

    def let_go(self) -> None:
        """Close the file. A worker does: it has no part in the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def look(path: str) -> None:
    """Whether there can be a file. Makes none: it could be taken for that of a daemon, or replace one that is just
    starting. Raises ConfigError.
    """
    directory = os.path.dirname(path)
    if os.path.isdir(path):
        code = errno.EISDIR
    elif not os.path.isdir(directory):
        code = errno.ENOENT
    elif not os.access(path if os.path.exists(path) else directory, os.W_OK, effective_ids=True):
        code = errno.EACCES
    else:
        return
    raise ConfigError(f'open() "{path}" failed ({code}: {os.strerror(code)})')


def owner(path: str) -> int | None:
    """The master that holds the file, if it is running. Raises OSError: no file, or no locks on its file system."""
    with open(path, "rb", buffering=0) as file:
        return _owner(file.fileno())


def _owner(fd: int) -> int | None:
    """Whoever can write the file and has it locked. A lock for reading means nothing."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return pid if kind == fcntl.F_WRLCK else None


def read(path: str) -> str:
    """What the file holds, without the end of its line. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        return file.read(_MAX_BYTES).rstrip(b"\r\n").decode("utf-8", "surrogateescape")
