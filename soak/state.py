"""What gatepost holds when nobody is there: processes, descriptors, connections, entries, memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from bench.accounting import pss_bytes, tree
from gatepost.store.lmdb import LmdbTable
from tests.functional.process import connections, descriptors, memory_kib

MEMORY_FACTOR = 1.10  # of what it was: by so much memory may differ
ZONE_BYTES = 1 << 20  # the size in the configuration


@dataclass(frozen=True, slots=True)
class State:
    """At one moment. Memory is that of all processes together.

    ``own_bytes`` is what nobody else has, so not code in files: how much of that counts as a process's own depends
    on who else runs Python on this machine. A page that several processes of gatepost share counts once.
    """

    processes: int
    master_descriptors: int
    worker_descriptors: tuple[int, ...]
    connections: int
    zone_files: tuple[str, ...]
    own_bytes: int
    rss_bytes: int


def look(master: int) -> State:
    """Raises OSError when a process ends meanwhile."""
    pids = tree(master)
    workers = pids[1:]
    return State(
        processes=len(pids),
        master_descriptors=descriptors(master),
        worker_descriptors=tuple(sorted(map(descriptors, workers))),
        connections=sum(map(connections, pids)),
        zone_files=tuple(sorted({os.path.basename(path) for pid in workers for path in zones_of(pid)})),
        own_bytes=pss_bytes(pids, "Pss_Anon", "Pss_Shmem"),
        rss_bytes=sum(map(memory_kib, pids)) * 1024,
    )


def zones_of(pid: int) -> list[str]:
    """Paths of the zones that a worker has open."""
    paths = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    return sorted(path for path in paths if "/zone-" in path and "-lock" not in path)


def entries(worker: int) -> int:
    """How many entries the zones hold that do not make room when they have expired."""
    total = 0
    for path in zones_of(worker):
        table = LmdbTable(path, ZONE_BYTES)
        try:
            # Each put drops expired entries from the oldest end, and replaces the one before.
            for _ in range(table.count() + 1):
                table.put(b"soak", b"", 0)
            table.remove(b"soak")
            total += table.count()
        finally:
            table.close()
    return total


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that has to be back. ``is_back`` is asked with the value at the start and that at the end."""

    title: str
    of: Callable[[State], object]
    show: Callable[[State], str]
    is_back: Callable[[State, State], bool]


def _exact(title: str, of: Callable[[State], object], show: Callable[[State], str] | None = None) -> Row:
    return Row(title, of, show or (lambda state: str(of(state))), lambda start, end: of(start) == of(end))


def _memory(title: str, of: Callable[[State], int]) -> Row:
    return Row(
        f"{title} of all processes, MB",
        of,
        lambda state: f"{of(state) / 1e6:.1f}",
        lambda start, end: of(end) <= of(start) * MEMORY_FACTOR,
    )


ROWS = (
    _exact("processes", lambda state: state.processes),
    _exact("descriptors of the master", lambda state: state.master_descriptors),
    _exact(
        "descriptors of each worker",
        lambda state: state.worker_descriptors,
        lambda state: ", ".join(map(str, state.worker_descriptors)),
    ),
    _exact("connections", lambda state: state.connections),
    _exact("zones", lambda state: state.zone_files, lambda state: str(len(state.zone_files))),
    _memory("own memory", lambda state: state.own_bytes),
    _memory("RSS", lambda state: state.rss_bytes),
)


def differences(start: State, end: State) -> list[str]:
    """What is not back."""
    return [
        f"{row.title}: {row.show(start)} at the start, {row.show(end)} at the end"
        for row in ROWS
        if not row.is_back(start, end)
    ]
