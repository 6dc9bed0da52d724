"""The rows of workers: who writes what, and what is left of those that are gone."""

import asyncio
import mmap
import os
import subprocess
import sys
import time

import pytest

from gatepost.net.deadlines import Deadline, Deadlines
from gatepost.net.poller import Poller
from gatepost.net.relay import Shared
from gatepost.session.endpoint import Host
from gatepost.worker.scoreboard import CELL_BYTES, GROWING, WIDTH, Cell, Reporter, Row, Scoreboard, State
from tests.net.test_deadlines import Clock

Loop = asyncio.AbstractEventLoop


class NoSockets(Poller):
    """For a loop that cannot watch descriptors: nobody here has one."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop


class Scene:
    """A worker without sockets, on a clock that the test turns."""

    def __init__(self, board: Scoreboard, generation: int = 0) -> None:
        self.clock = Clock()
        loop: Loop = self.clock  # type: ignore[assignment]
        wheel = Deadlines(loop)
        self.host = Host(Shared(NoSockets(loop), wheel))
        self.place = board.claim()
        self.board = board
        self.reporter = Reporter(board.cells(self.place), generation, self.host)

    @property
    def row(self) -> Row:
        return self.board.row(self.place)

    def come(self) -> object:
        """A client whose session has no deadline yet."""
        session = object()
        self.host.sessions.add(session)  # type: ignore[arg-type]
        self.host.accepted += 1
        return session

    def go(self, session: object) -> None:
        self.host.sessions.discard(session)


def test_a_row_appears_when_its_worker_begins_and_goes_when_it_is_cleared() -> None:
    board = Scoreboard(4)
    scene = Scene(board, generation=3)
    assert board.rows() == []
    before = time.monotonic_ns()
    scene.reporter.begin()
    (row,) = board.rows()
    assert row[:3] == (os.getpid(), 3, State.SERVING)
    assert before <= row.updated <= time.monotonic_ns()
    scene.reporter.drain()
    assert scene.row.state == State.DRAINING
    board.clear(scene.place)
    assert board.rows() == []
    assert board.row(scene.place) == Row(*[0] * WIDTH)


def test_a_worker_without_clients_is_never_woken() -> None:
    scene = Scene(Scoreboard(1))
    scene.reporter.begin()
    assert scene.clock.timers == []


def test_the_row_follows_the_wheel_and_rests_with_it() -> None:
    scene = Scene(Scoreboard(1))
    scene.reporter.begin()
    session = scene.come()
    assert scene.row.sessions == 0  # a client costs nothing here; its first deadline starts the wheel
    deadline = Deadline(scene.host.wheel, lambda: None)
    deadline.set(5.0)
    assert (scene.row.sessions, scene.row.accepted) == (1, 1)
    seen = scene.row.updated
    scene.clock.turn(1.0)
    assert scene.row.updated > seen
    deadline.drop()
    scene.go(session)
    assert scene.row.clients == 1
    scene.clock.turn(120.0)
    assert scene.row.clients == 0
    assert scene.clock.timers == []


def test_it_goes_on_while_clients_wait_without_a_deadline() -> None:
    scene = Scene(Scoreboard(1))
    scene.reporter.begin()
    session = scene.come()
    deadline = Deadline(scene.host.wheel, lambda: None)
    deadline.set(2.0)
    deadline.clear()
    scene.clock.turn(120.0)
    assert not scene.host.wheel.turning
    assert len(scene.clock.timers) == 1
    seen = scene.row.updated
    scene.clock.turn(1.0)
    assert scene.row.updated > seen
    deadline.set(2.0)  # the wheel and the timer of the row's own, both at once
    deadline.clear()
    scene.clock.turn(120.0)
    assert len(scene.clock.timers) == 1
    scene.go(session)
    scene.clock.turn(2.0)
    assert scene.row.clients == 0
    assert scene.clock.timers == []


def test_totals_outlive_workers() -> None:
    board = Scoreboard(2)
    other = Scene(board)
    other.reporter.begin()
    other.host.accepted = 5
    other.reporter.write()
    for accepted, logins in ((10, 7), (100, 0), (0, 1)):
        scene = Scene(board)
        assert scene.place == 1
        scene.reporter.begin()
        scene.host.accepted, scene.host.logins = accepted, logins
        scene.reporter.write()
        board.clear(scene.place)
    assert (board.total(Cell.ACCEPTED), board.total(Cell.LOGINS)) == (115, 8)
    assert board.rows() == [other.row]


def test_cleared_rows_are_used_again_and_no_others_are_needed() -> None:
    board = Scoreboard(3)
    assert [board.claim() for _ in range(3)] == [0, 1, 2]
    board.clear(1)
    assert board.claim() == 1
    board.clear(2)
    board.clear(0)
    assert sorted((board.claim(), board.claim())) == [0, 2]


def test_workers_beyond_its_bound_serve_unseen() -> None:
    board = Scoreboard(1)
    seen = Scene(board)
    unseen = [Scene(board), Scene(board)]
    assert board.shows(seen.place)
    for scene in (seen, *unseen):
        scene.reporter.begin()
        scene.host.accepted = 1
        scene.reporter.write()
    assert not any(board.shows(scene.place) for scene in unseen)
    assert board.rows() == [seen.row]
    assert board.total(Cell.ACCEPTED) == 1
    for scene in unseen:
        board.clear(scene.place)
    assert not board.shows(board.claim())
    board.clear(seen.place)
    assert board.claim() == seen.place


def test_every_cell_can_be_written_with_one_store() -> None:
    board = Scoreboard(2)
    assert mmap.PAGESIZE % CELL_BYTES == 0
    assert board.cells(0).itemsize == CELL_BYTES
    assert WIDTH * CELL_BYTES == 64  # a line of the cache


TORN = """
import os, signal, sys, time
from gatepost.worker.scoreboard import Cell, Scoreboard
board = Scoreboard(1)
cells = board.cells(0)
numbers = (0, 0x0123456789ABCDEF, -1)
pid = os.fork()
if not pid:
    signal.alarm(60)
    while True:
        for number in numbers:
            cells[Cell.LOGINS] = number
seen = set()
end = time.monotonic() + 30
looks = 0
while (seen != set(numbers) or looks < 200) and time.monotonic() < end:
    seen |= {board.row(0).logins for _ in range(1000)}
    looks += 1
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
print(sorted(seen) == sorted(numbers))
"""


def test_readers_never_see_half_a_number() -> None:
    """Half of each of these numbers in one cell would be another. In a process of its own, which may fork."""
    done = subprocess.run([sys.executable, "-c", TORN], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize("cell", GROWING)
def test_only_what_grows_has_a_total(cell: Cell) -> None:
    assert Scoreboard(1).total(cell) == 0
    with pytest.raises(AssertionError):
        Scoreboard(1).total(Cell.RELAYS)


MEMORY = """
from gatepost.worker.scoreboard import Cell, Scoreboard
from tests.wire import poller
def shared():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssShmem:"))
before = shared()
board = Scoreboard()
for _ in range(8):
    board.cells(board.claim())[Cell.PID] = 1
print(shared() - before)
"""


def test_only_the_pages_in_use_take_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) == mmap.PAGESIZE // 1024
