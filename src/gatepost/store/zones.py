"""Named tables that workers share: from a name in the configuration to a table in each worker.

Theory of operation. The master names zones and makes the directory for them; it opens none, because an engine's
handles must not cross fork. Each worker attaches after it was forked and has given up root; the first makes the
file. A zone is its name and size: a master that keeps its directory keeps what is in the zones whose name and size
stay, and a zone of another size begins empty. While a new program takes over, workers of both use the same files,
so a file's name says what is in it: a program that writes entries in another way, or has an engine of another
version, uses another file, and begins empty.
"""

import os
from collections.abc import Callable, Iterable

from .runtime import RuntimeDirectory
from .table import StoreError, Table

_SPACE_FACTOR = 2  # free space wanted, in sizes of the zones: the engine's pages are never full


def _unheard(_text: str) -> None:
    """Until a process has said where warnings go."""


class SharedZone:
    """One zone, as everybody holds it from before the fork.

    ``size`` is in bytes. ``table`` is None until ``attach``, and where that failed: whoever uses it does without.
    """

    __slots__ = ("name", "size", "table", "warn")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.table: Table | None = None
        self.warn: Callable[[str], None] = _unheard


class Zones:
    """The zones of one configuration. Making it makes no file."""

    __slots__ = ("_by_name", "_directory", "_format")

    def __init__(self) -> None:
        self._by_name: dict[str, SharedZone] = {}
        self._directory: str | None = None  # where the files are; another configuration may have another
        self._format = ""

    def named(self, name: str, size: int) -> SharedZone:
        """The zone of that name, the same object for everyone who asks."""
        return self._by_name.setdefault(name, SharedZone(name, size))

    def prepare(self, runtime: RuntimeDirectory, owner: int | None) -> None:
        """In the master: have a directory for the files, if there is any zone. ``owner`` is the user id of the
        workers, None for our own. Raises ConfigError.
        """
        if self._by_name:
            runtime.make(owner, sum(zone.size for zone in self._by_name.values()) * _SPACE_FACTOR)
            self._directory = runtime.path
            # Loaded once for all workers, while the code on disk is that of this program. A configuration without
            # zones never loads it.
            from . import lmdb

            self._format = lmdb.FORMAT

    def attach(self, warn: Callable[[str], None]) -> None:
        """In a worker: open all zones. One that cannot be is reported, and done without."""
        if self._directory is None:
            return
        from .lmdb import LmdbTable

        for zone in self._by_name.values():
            zone.warn = warn
            try:
                zone.table = LmdbTable(os.path.join(self._directory, self._file_name(zone)), zone.size)
            except StoreError as error:
                warn(f'shared memory zone "{zone.name}" cannot be used: {error}')

    def files(self) -> Iterable[str]:
        """Names of the files in the runtime directory that belong to these zones."""
        for zone in self._by_name.values():
            name = self._file_name(zone)
            yield from (name, f"{name}-lock")

    def _file_name(self, zone: SharedZone) -> str:
        """Any name a configuration can have is a file name this way."""
        import hashlib  # starting takes long, and few need it

        digest = hashlib.sha256(os.fsencode(zone.name)).hexdigest()
        return f"zone-{digest[:32]}-{zone.size}-{self._format}"
