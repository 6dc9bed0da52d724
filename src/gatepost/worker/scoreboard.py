"""What every worker is doing, where the master can see it.

Theory of operation. The master makes one shared mapping before the first fork, with a row for each worker that can
live at a time, also those of earlier configurations that finish their sessions. A worker writes into its own row
only: when it begins, when it stops accepting, when it ends, and once a second while its wheel of deadlines turns.
One without sessions is not woken for it. The counts themselves are plain attributes of its ``Host``, so a session
costs nothing here.

**Torn reads.** Each cell has 8 bytes, is aligned, and is written with one store: a reader sees the old or the new
number, never half of each. Cells of one row may be of two updates, a second apart; no two of them are ever set off
against each other. A sequence counter round each row would not do better: Python has no memory barriers, and a
worker that is killed between its two increments would leave a row that nobody may read.

**What only grows is never lost.** Such a cell stays when its worker ends, and the next worker in that row counts on
from there. So a sum over all rows is the total since the start, at any moment, whoever has died. What a
killed worker counted in its last second is not in it.

**What is read here is not believed.** Every worker can write to the whole mapping, and one that has been taken over
may. The numbers are shown; what is done to a process follows from the process ids that the master keeps for itself.
"""

import mmap
import os
import time
from enum import IntEnum
from typing import NamedTuple

from gatepost.session.endpoint import Host

from .settings import MAX_WORKERS

# Four configurations, each with the most workers that there can be: the one in force and three that are left by
# quick reloads. Memory exists only for the pages that are used. A worker beyond that serves, but is not shown.
MAX_ROWS = 4 * MAX_WORKERS
UPDATE_SECONDS = 1.0  # how old a row may be while its worker has something to do: a turn of the wheel
CELL_BYTES = 8


class State(IntEnum):
    """What a worker does about new clients."""

    NONE = 0  # there is no worker in this row, or it has not begun
    SERVING = 1
    DRAINING = 2  # it accepts no more and finishes its sessions


class Cell(IntEnum):
    """The columns. A row is one line of the processor's cache, so that workers do not slow each other down."""

    PID = 0
    GENERATION = 1  # of its configuration, from 0
    STATE = 2
    UPDATED = 3  # nanoseconds of the monotonic clock, which all processes share
    SESSIONS = 4  # before login
    RELAYS = 5
    ACCEPTED = 6  # sessions since the start, also those of earlier workers in this row
    LOGINS = 7  # relays since the start, likewise


GROWING = (Cell.ACCEPTED, Cell.LOGINS)
WIDTH = len(Cell)


class Row(NamedTuple):
    """A row as it was read; the names are those of the columns."""

    pid: int
    generation: int
    state: int
    updated: int
    sessions: int
    relays: int
    accepted: int
    logins: int

    @property
    def clients(self) -> int:
        return self.sessions + self.relays


class Scoreboard:
    """The mapping. Who may be in which row is the master's to say; a row is named by its number."""

    def __init__(self, rows: int = MAX_ROWS) -> None:
        # One row more than is shown, for all the workers that find no other.
        self._memory = mmap.mmap(-1, (rows + 1) * WIDTH * CELL_BYTES)
        self._cells = memoryview(self._memory).cast("q")
        self._hidden = rows
        self._free = list(range(rows - 1, -1, -1))

    # The master's side

    def claim(self) -> int:
        """A free row for the next worker; one that nobody reads when there are none."""
        return self._free.pop() if self._free else self._hidden

    def clear(self, number: int) -> None:
        """The worker in this row is gone; what only grows stays. The row can be claimed again."""
        if number == self._hidden:
            return
        cells = self.cells(number)
        for cell in Cell:
            if cell not in GROWING:
                cells[cell] = 0
        self._free.append(number)

    def shows(self, number: int) -> bool:
        """False for a worker that found no row."""
        return number != self._hidden

    # Reading

    def row(self, number: int) -> Row:
        return Row(*self.cells(number))

    def rows(self) -> list[Row]:
        """Those of all workers that have begun."""
        pids = self._cells[Cell.PID : self._hidden * WIDTH : WIDTH]
        return [self.row(number) for number, pid in enumerate(pids) if pid]

    def total(self, cell: Cell) -> int:
        """The sum of one of the columns that only grow, since the start."""
        assert cell in GROWING
        return sum(self._cells[cell : self._hidden * WIDTH : WIDTH])

    # Writing

    def cells(self, number: int) -> memoryview:
        """One row, to be written by its worker."""
        return self._cells[number * WIDTH : (number + 1) * WIDTH]


class Reporter:
    """A worker's pen: keeps its row as old as a turn of the wheel."""

    def __init__(self, cells: memoryview, generation: int, host: Host) -> None:
        self._cells = cells
        self._generation = generation
        self._host = host
        self._before = [cells[cell] for cell in GROWING]
        self._alone = False  # whether a timer of ours runs, because the wheel does not

    def begin(self) -> None:
        """The worker is ready to accept."""
        cells = self._cells
        cells[Cell.GENERATION] = self._generation
        cells[Cell.STATE] = State.SERVING
        self.write()
        cells[Cell.PID] = os.getpid()  # last: from now on the row is read
        self._host.wheel.on_turn = self._turn

    def drain(self) -> None:
        """It accepts no more."""
        self._cells[Cell.STATE] = State.DRAINING
        self.write()

    def write(self) -> None:
        """Write what changes."""
        cells = self._cells
        host = self._host
        accepted, logins = self._before
        cells[Cell.SESSIONS] = len(host.sessions)
        cells[Cell.RELAYS] = len(host.relays)
        cells[Cell.ACCEPTED] = accepted + host.accepted
        cells[Cell.LOGINS] = logins + host.logins
        cells[Cell.UPDATED] = time.monotonic_ns()

    def _turn(self) -> None:
        self.write()
        host = self._host
        if host.count and not host.wheel.turning and not self._alone:
            # Sessions without a deadline, which wait for something that has limits of its own: the wheel rests.
            self._alone = True
            host.loop.call_later(UPDATE_SECONDS, self._turn_alone)

    def _turn_alone(self) -> None:
        self._alone = False
        if not self._host.wheel.turning:
            self._turn()
