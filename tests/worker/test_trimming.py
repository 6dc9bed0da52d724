"""When memory is given back: when a crowd has left, and not too often."""

import asyncio

from gatepost.net.deadlines import Deadline, Deadlines
from gatepost.net.relay import Shared
from gatepost.session.endpoint import Host
from gatepost.worker.trimming import LEAST_CLIENTS, PAUSE_SECONDS, Trimming
from tests.net.test_deadlines import Clock
from tests.worker.test_scoreboard import NoSockets

CROWD = 10 * LEAST_CLIENTS


class Scene:
    """A worker without sockets, on a clock that the test turns; one deadline keeps the wheel turning."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.clock = Clock()
        loop: asyncio.AbstractEventLoop = self.clock  # type: ignore[assignment]
        self.host = Host(Shared(NoSockets(loop), Deadlines(loop)))
        self.trimmed = 0
        self.ticks = 0
        self.host.wheel.on_turn = self._ticked
        Trimming(self.host, self._trim).begin()
        self.deadline = Deadline(self.host.wheel, lambda: None)
        self.deadline.set(seconds)

    def _trim(self) -> None:
        self.trimmed += 1

    def _ticked(self) -> None:
        self.ticks += 1

    def serve(self, count: int, seconds: float = 2.0) -> None:
        """So many clients, for so long."""
        self.host.sessions.clear()
        self.host.sessions.update(object() for _ in range(count))  # type: ignore[misc]
        self.clock.turn(seconds)


def test_memory_is_given_back_when_half_of_a_crowd_has_left() -> None:
    scene = Scene()
    scene.serve(CROWD)
    scene.serve(CROWD // 2 + 1)
    assert scene.trimmed == 0
    scene.serve(CROWD // 2)
    assert scene.trimmed == 1
    scene.serve(CROWD // 2, 10 * PAUSE_SECONDS)
    assert scene.trimmed == 1  # nobody has left since


def test_a_few_are_no_crowd() -> None:
    scene = Scene()
    scene.serve(LEAST_CLIENTS - 1)
    scene.serve(0, 10 * PAUSE_SECONDS)
    assert scene.trimmed == 0


def test_it_is_not_done_too_often_and_not_forgotten() -> None:
    scene = Scene()
    for _ in range(5):  # in less than the pause
        scene.serve(CROWD)
        scene.serve(0)
    assert scene.trimmed == 1
    scene.serve(0, PAUSE_SECONDS)
    assert scene.trimmed == 2


def test_a_wheel_that_rests_does_not_keep_it_from_being_done() -> None:
    scene = Scene(seconds=6.0)
    scene.serve(CROWD)
    scene.serve(0)
    scene.serve(CROWD)
    scene.serve(0, 5.0)
    assert (scene.trimmed, scene.host.wheel.turning) == (1, False)
    scene.serve(0, PAUSE_SECONDS)
    assert scene.trimmed == 2


def test_others_share_the_tick() -> None:
    scene = Scene()
    scene.serve(0, 5.0)
    assert scene.ticks >= 5
