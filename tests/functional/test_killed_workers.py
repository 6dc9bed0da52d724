"""Workers are killed while clients come and stay: each death costs the sessions of that worker and nothing else.

``GATEPOST_KILL_SECONDS=60`` lets the story go on for so long; otherwise it is told in a few seconds.
"""

import os
import random
import re
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lmdb
import pytest

from .certificates import Certificates
from .gateway import Gateway
from .line_client import LineClient
from .process import alive, children, connections, descriptors
from .scripted_backend import ScriptedBackend
from .talkers import Talker, a_few_more, open_session, repeat
from .waiting import LIMIT_SECONDS, wait_until

SECONDS = float(os.environ.get("GATEPOST_KILL_SECONDS", "4"))
MAX_KILLS = 1000
WORKERS = 3
VISITORS = 4
STAYING = 12  # sessions that are held
RESPAWN_SECONDS = 60.0  # one that has died often is tried again after half a minute
# What a client sees when its worker is killed; the last one in the middle of a handshake.
CUT_OFF = (ConnectionResetError, BrokenPipeError, EOFError, ssl.SSLEOFError, ssl.SSLZeroReturnError)

MAIL = """
    proxy_pass 127.0.0.1:{backend};
    {certificates}
    ssl_session_cache shared:SSL:1m;
    server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; }}}}
"""


@pytest.fixture
def gateway(open_path: Path, certificates: Certificates) -> Iterator[Gateway]:
    with ScriptedBackend(repeat) as backend:
        mail = MAIL.format(backend=backend.port, certificates=certificates.directives("ecdsa"))
        with Gateway(open_path, mail, workers=WORKERS) as running:
            yield running


class Visits:
    """Clients that come, talk and go. One whose worker dies is cut off; nobody is refused or kept waiting."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.served = 0
        self.cut = 0
        self._port = port
        self._context = context
        self._lock = threading.Lock()
        self._over = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator[Callable[[], int]]:
        """How many have been served; less than 0 when something went wrong, which is raised at the end."""
        with ThreadPoolExecutor(VISITORS) as pool:
            visitors = [pool.submit(self._visit, seed) for seed in range(VISITORS)]
            try:
                yield lambda: -1 if any(each.done() for each in visitors) else self.served
            finally:
                self._over.set()
            for each in visitors:
                each.result(LIMIT_SECONDS)

    def _visit(self, seed: int) -> None:
        while not self._over.is_set():
            try:
                with open_session(self._port, self._context) as client:
                    talker = Talker(client, seed)
                    talker.begin()
                    talker.finish()
            except CUT_OFF:
                with self._lock:
                    self.cut += 1
            else:
                with self._lock:
                    self.served += 1


class Guest:
    """A session that stays, and which worker has it."""

    def __init__(self, gateway: Gateway, client: LineClient, seed: int) -> None:
        port = client._socket.getsockname()[1]
        # Ports are used again: the last client that had this one is us.
        self.worker = int(re.findall(rf"(\d+)#\d+: \*\d+ client 127\.0\.0\.1:{port} connected", gateway.log())[-1])
        self._talker = Talker(client, seed)

    def is_well(self) -> bool:
        """Whether every byte comes back; False: the worker is gone."""
        try:
            self._talker.begin()
            self._talker.finish()
        except CUT_OFF:
            self._talker.client.close()
            return False
        return True


def kill(victim: int) -> None:
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not alive(victim), "it to be dead")


def complete(gateway: Gateway) -> None:
    wait_until(lambda: len(gateway.workers) == WORKERS, "a successor", RESPAWN_SECONDS)


def readers(worker: int) -> set[int]:
    """The processes that have a place for reading in the zone that ``worker`` uses."""
    with open(f"/proc/{worker}/maps", encoding="utf-8", errors="replace") as maps:
        (path,) = set(re.findall(r"/\S*/zone-[\w.-]+(?<!-lock)$", maps.read(), re.MULTILINE))
    environment = lmdb.open(path, subdir=False, readonly=True, max_dbs=8)
    listed = environment.readers()
    environment.close()
    return {int(line.split()[0]) for line in listed.splitlines() if line.split()[0].isdigit()}


def test_random_workers_are_killed_under_load(gateway: Gateway, certificates: Certificates) -> None:
    master, context = gateway.process.pid, certificates.client_context()
    chance = random.Random(1)
    visits = Visits(gateway.port, context)
    kills = 0
    with ExitStack() as stack, visits.going_on() as served:

        def come() -> Guest:
            return Guest(gateway, stack.enter_context(open_session(gateway.port, context)), kills)

        a_few_more(served)
        opened = descriptors(master)
        guests = [come() for _ in range(STAYING)]
        end = time.monotonic() + SECONDS
        while kills < 2 or (time.monotonic() < end and kills < MAX_KILLS):
            victim = chance.choice(gateway.workers)
            kill(victim)
            kills += 1
            a_few_more(served)  # before there is a successor, perhaps
            lost = [guest for guest in guests if not guest.is_well()]
            assert {guest.worker for guest in lost} <= {victim}
            assert {guest.worker for guest in guests if guest not in lost}.isdisjoint({victim})
            complete(gateway)
            a_few_more(served)
            guests = [guest if guest not in lost else come() for guest in guests]
        total = visits.served
    assert total > kills
    assert visits.cut <= kills * VISITORS
    # Nothing is left of anybody.
    complete(gateway)
    workers = gateway.workers
    assert children(master) == workers
    wait_until(lambda: not any(map(connections, workers)), "all sessions to end")
    assert descriptors(master) == opened
    assert len({descriptors(worker) for worker in workers}) == 1
    assert readers(workers[0]) <= {*workers, os.getpid()}
    log = gateway.log()
    assert len(re.findall(r"\[alert\].*worker process \d+ exited on signal 9", log)) == kills
    assert "worker failed" not in log
    print(f"{kills} kills, {total} visits, {visits.cut} cut off")


def test_one_that_dies_again_and_again_is_replaced_in_the_end(gateway: Gateway, certificates: Certificates) -> None:
    spared = gateway.workers[1:]
    for _ in range(4):
        (victim,) = set(gateway.workers) - set(spared)
        kill(victim)
        complete(gateway)
    with ExitStack() as stack:
        context = certificates.client_context()
        guests = [
            Guest(gateway, stack.enter_context(open_session(gateway.port, context)), seed) for seed in range(30)
        ]
        assert all(guest.is_well() for guest in guests)
        assert {guest.worker for guest in guests} == set(gateway.workers)
