"""The graceful end of a worker, with a real relay in it."""

import asyncio
import socket

import pytest
import uvloop

from gatepost.log import Level, Outputs, Sink
from gatepost.net.deadlines import Deadlines
from gatepost.net.relay import Relay, Shared
from gatepost.session.endpoint import Host
from gatepost.session_log import SessionLog
from gatepost.worker import drain as module
from gatepost.worker.drain import CUTS_PER_SECOND, MAX_CUTTING_SECONDS, STEP_SECONDS, drain, lot
from tests.wire import poller

LIMIT_SECONDS = 20


class Scene:
    """A host with one relay; ``client`` and ``upstream`` are the far ends."""

    def __init__(self, log_path: str) -> None:
        loop = asyncio.get_running_loop()
        wheel = Deadlines(loop)
        self.host = Host(Shared(poller(loop), wheel))
        self.log_path = log_path
        self.client, self.upstream = self.add()

    def add(self) -> tuple[socket.socket, socket.socket]:
        client, ours = socket.socketpair()
        upstream, theirs = socket.socketpair()
        for sock in (client, ours, upstream, theirs):
            sock.setblocking(False)
        log = SessionLog(Outputs().log([Sink(self.log_path, Level.INFO)]), 1, "192.0.2.1", "0.0.0.0:143")
        relay = Relay(self.host.shared, log, ours, None, theirs, 60.0, b"* BYE\r\n", self.host.relay_ended)
        self.host.relays.add(relay)
        relay.start(b"", b"")
        return client, upstream

    def close(self) -> None:
        self.client.close()
        self.upstream.close()


@pytest.fixture
def log_path(tmp_path: object) -> str:
    return f"{tmp_path}/log"


def test_ends_with_the_last_session(log_path: str) -> None:
    async def story() -> None:
        scene = Scene(log_path)
        draining = asyncio.ensure_future(drain(scene.host, None))
        await asyncio.sleep(0)
        assert not draining.done()
        scene.client.send(b"still relayed")
        assert await asyncio.get_running_loop().sock_recv(scene.upstream, 100) == b"still relayed"
        scene.close()
        await asyncio.wait_for(draining, LIMIT_SECONDS)
        assert scene.host.count == 0

    uvloop.run(story())


def test_cuts_what_is_left_with_the_last_words(log_path: str) -> None:
    async def story() -> None:
        scene = Scene(log_path)
        await asyncio.wait_for(drain(scene.host, 0.01), LIMIT_SECONDS)
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(scene.client, 100) == b"* BYE\r\n"
        assert await loop.sock_recv(scene.client, 100) == b""
        assert await loop.sock_recv(scene.upstream, 100) == b""
        assert scene.host.count == 0
        scene.close()

    uvloop.run(story())
    with open(log_path) as log:
        assert "*1 shutdown timeout while proxying, client: 192.0.2.1, server: 0.0.0.0:143" in log.read()


def test_has_nothing_to_wait_for_in_an_idle_worker(log_path: str) -> None:
    async def story() -> None:
        scene = Scene(log_path)
        scene.close()
        while scene.host.count:
            scene.host.on_ended.clear()
            await asyncio.wait_for(scene.host.on_ended.wait(), LIMIT_SECONDS)
        await asyncio.wait_for(drain(scene.host, None), LIMIT_SECONDS)

    uvloop.run(story())


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 500, 6000, 10_000, 100_000])
def test_few_at_a_time_and_never_for_long(count: int) -> None:
    size = lot(count)
    assert size >= 1
    assert (count / size) * STEP_SECONDS <= MAX_CUTTING_SECONDS
    if count <= CUTS_PER_SECOND * MAX_CUTTING_SECONDS:
        assert size <= CUTS_PER_SECOND * STEP_SECONDS


def test_all_are_told_lot_by_lot(log_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "lot", lambda _count: 2)
    monkeypatch.setattr(module, "STEP_SECONDS", 0.001)

    async def story() -> None:
        scene = Scene(log_path)
        extra = [scene.add() for _ in range(6)]
        slept: list[int] = []
        sleep = asyncio.sleep

        async def noting(seconds: float) -> None:
            slept.append(scene.host.count)
            await sleep(seconds)

        monkeypatch.setattr(asyncio, "sleep", noting)
        await asyncio.wait_for(drain(scene.host, 0.01), LIMIT_SECONDS)
        assert slept == [5, 3, 1]
        loop = asyncio.get_running_loop()
        for client, upstream in extra:
            assert await loop.sock_recv(client, 100) == b"* BYE\r\n"
            client.close()
            upstream.close()
        scene.close()

    uvloop.run(story())
