"""The runtime directory: files that the processes of one daemon share, gone when it ends.

Theory of operation. Only the workers' user can enter it, and its name cannot be guessed before it exists. Each
master holds a shared lock on it, which its workers inherit; while a new program takes over, two masters share one
directory and hold a lock each. Whoever leaves last gets the lock for itself alone and removes the directory. When
all are gone without having tidied up, the lock is free, and the next master removes what they left.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Sequence

from gatepost.errors import ConfigError

PREFIX = "gatepost-shared-"
MODE = 0o700
# Memory where there is some: what is shared is worth nothing after a restart of the machine.
PARENTS = ("/dev/shm", "/run", "/tmp")
_TRIES = 5  # a master that starts at the same moment may take the new directory for a stale one


class RuntimeDirectory:
    """A directory that is made when it is first needed. The master's; workers only use what is in it."""

    __slots__ = ("_former", "_heirloom", "_lock_fd", "_parents", "_path")

    def __init__(self, parents: Sequence[str] = PARENTS, heirloom: str | None = None) -> None:
        """``heirloom`` is the directory of the master that started us: it is shared, if it can be."""
        self._parents = parents
        self._heirloom = heirloom
        self._path: str | None = None
        self._former: list[tuple[str, int]] = []  # that were not good any more, with their locks
        self._lock_fd = -1

    def make(self, owner: int | None, space: int) -> None:
        """Make it, unless it is there, in the first parent that has ``space`` bytes free, else in any.

        Removes what dead masters left. ``owner`` is the user id of the workers, None for our own; only root can
        give it away. Raises ConfigError.
        """
        if self._path is not None and not self._is_good(owner):
            # A respawned worker of the configuration in force may still need it: until ``prune`` or ``remove``.
            self._former.append((self._path, self._lock_fd))
            self._path = self._heirloom = None
        if self._path is not None or (self._heirloom is not None and self._share(self._heirloom, owner)):
            return
        problem: OSError | None = None
        for parent in sorted(self._parents, key=lambda parent: _free_bytes(parent) < space):
            try:
                remove_stale(parent)
                self._make_in(parent, owner)
            except OSError as error:
                problem = problem or error
            else:
                return
        said = f" ({problem.errno}: {problem.strerror})" if problem else ""
        raise ConfigError(f"mkdir() of a runtime directory in {', '.join(self._parents)} failed{said}")

    def _is_good(self, owner: int | None) -> bool:
        """Whether it is still there, and the workers' user can enter it: another configuration may have another."""
        try:
            found = os.fstat(self._lock_fd)
            return found.st_uid == _wanted(owner) and os.path.samestat(os.stat(self._path or ""), found)
        except OSError:
            return False

    def _share(self, path: str, owner: int | None) -> bool:
        """Whether ``path`` is a directory of our kind for the same user, and is ours as well from now on."""
        if not os.path.basename(path).startswith(PREFIX):
            return False
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return False
        found = os.fstat(fd)
        if found.st_uid == _wanted(owner) and stat.S_IMODE(found.st_mode) == MODE:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if os.path.samestat(os.stat(path), found):  # nobody removed it before we had the lock
                    self._path, self._lock_fd = path, fd
                    return True
        os.close(fd)
        return False

    def _make_in(self, parent: str, owner: int | None) -> None:
        """Raises OSError."""
        for _ in range(_TRIES):
            path = os.path.join(parent, PREFIX + os.urandom(8).hex())
            os.mkdir(path, MODE)
            try:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.path.exists(path):
                if owner is not None and os.geteuid() == 0:
                    os.chown(fd, owner, -1)
                self._path, self._lock_fd = path, fd
                return
            os.close(fd)
        raise FileExistsError(17, "it is removed again and again", parent)

    def file(self, name: str) -> str:
        """The path of a file in it. It must have been made."""
        assert self._path is not None
        return os.path.join(self._path, name)

    @property
    def path(self) -> str | None:
        """None until it is made."""
        return self._path

    def prune(self, keep: Iterable[str]) -> None:
        """Remove all files but those named, and former directories. Who has a file open goes on using it."""
        self._remove_former()
        if self._path is not None:
            kept = frozenset(keep)
            # Not by path: the directory is the workers', and one that has been taken over may have put a link to
            # another into its place, where root must not remove anything.
            for name in os.listdir(self._lock_fd):
                if name not in kept:
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=self._lock_fd)

    def remove(self) -> None:
        """With everything in it, at an orderly end; another master that shares it keeps it. Idempotent."""
        if self._path is not None:
            self._former.append((self._path, self._lock_fd))
            self._path = None
        self._remove_former()

    def _remove_former(self) -> None:
        while self._former:
            path, fd = self._former.pop()
            with contextlib.suppress(OSError):
                # Of two that leave at once, the second to give up its shared lock gets this one.
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _empty(fd, path)
            os.close(fd)


def _wanted(owner: int | None) -> int:
    """The user id that a directory of workers of ``owner`` has."""
    return owner if owner is not None and os.geteuid() == 0 else os.geteuid()


def remove_stale(parent: str) -> None:
    """Remove the runtime directories below ``parent`` that no process has locked, as far as we may."""
    for entry in os.scandir(parent):
        if not entry.name.startswith(PREFIX):
            continue
        try:
            fd = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # of another user, or no directory
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _empty(fd, entry.path)
        except OSError:
            continue  # in use
        finally:
            os.close(fd)


def _empty(fd: int, path: str) -> None:
    """Remove the directory and the files in it. It has no directories inside; one that somebody made stays."""
    for name in os.listdir(fd):
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=fd)
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _free_bytes(parent: str) -> int:
    try:
        found = os.statvfs(parent)
    except OSError:
        return -1
    return found.f_bavail * found.f_frsize
