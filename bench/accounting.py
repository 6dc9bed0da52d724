"""What processes have cost, from the kernel's own books.

CPU time is that of the process clock: what the scheduler counted for all threads, those that have ended included,
to the nanosecond and not in ticks of 10 ms. Children that a process has waited for are in its ``stat``, in ticks.
Memory is PSS: a page that several processes share counts for each of them in proportion.
"""

import os
import time

from tests.functional.process import children

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> tuple[int, ...]:
    """``pid`` and everything below it."""
    found = [pid]
    for each in found:
        found += children(each)
    return tuple(found)


def cpu_seconds(pids: tuple[int, ...]) -> float:
    """User and system time so far of these processes and of their children that have ended."""
    total = 0.0
    for pid in pids:
        # clock_getcpuclockid(3): the complement of the id, and 2 for the scheduler's count (CPUCLOCK_SCHED).
        total += time.clock_gettime_ns((~pid << 3) | 2) / 1e9
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[13]) + int(fields[14])) / _TICKS_PER_SECOND  # cutime, cstime
    return total


def pss_bytes(pids: tuple[int, ...], *kinds: str) -> int:
    """A page that several processes share counts in parts. ``kinds`` are fields of smaps_rollup (proc(5))."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            found = dict(line.split(":") for line in file if line.startswith("Pss"))
        total += sum(int(found[kind].split()[0]) for kind in kinds or ("Pss",)) * 1024
    return total
