"""One started server: its processes, what they have cost, when it serves."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.functional.process import Process, alive
from tests.functional.waiting import LIMIT_SECONDS, wait_until

from . import accounting
from .peers import Peer
from .site import Site

_POLL_SECONDS = 0.001


@contextlib.contextmanager
def pinned(cpus: frozenset[int]) -> Iterator[None]:
    """What is started in here runs on these CPUs only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_for_greeting(host: str, port: int) -> None:
    """Return when a client in the clear is greeted. Tries again as long as nobody listens, or who did has gone."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        with socket.socket() as client, contextlib.suppress(ConnectionError):
            client.settimeout(LIMIT_SECONDS)
            if not client.connect_ex((host, port)) and client.recv(1000):
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody greets at {host}:{port}")
        time.sleep(_POLL_SECONDS)


def environment_of(peer: Peer) -> dict[str, str]:
    """Ours, without what somebody has set for gatepost, and with what belongs to ``peer``."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}
    return {**ours, **peer.environment}


def seconds_to_check(peer: Peer, site: Site, cpus: frozenset[int]) -> float:
    """How long it takes to read the configuration and find it good. Raises CalledProcessError if it is not."""
    command = (*peer.command(site), *peer.check)
    began = time.monotonic()
    with pinned(cpus):
        subprocess.run(command, env=environment_of(peer), check=True, capture_output=True, timeout=LIMIT_SECONDS)
    return time.monotonic() - began


class Running:
    """``seconds_to_serve`` is from the start of the program to the first greeting, without TLS."""

    def __init__(self, peer: Peer, site: Site, cpus: frozenset[int]) -> None:
        self.peer = peer
        self._site = site
        command = peer.command(site)
        environment = environment_of(peer)
        began = time.monotonic()
        with pinned(cpus):
            self._process = Process(command, site.directory / "output", environment)
        try:
            wait_for_greeting(*self.address("imap-clear"))
        except TimeoutError:
            self.stop()
            raise RuntimeError(f"{peer.name} does not start: {self._process.text()}{self._log()}") from None
        self.seconds_to_serve = time.monotonic() - began

    def address(self, door: str) -> tuple[str, int]:
        hosts = self.peer.hosts
        # Where a door has a host of its own, it has the port of its neighbour.
        port = self._site.ports[door.replace("rsa", "ecdsa") if door in hosts else door]
        return hosts.get(door, "127.0.0.1"), port

    @property
    def pids(self) -> tuple[int, ...]:
        return accounting.tree(self._process.pid)

    def cpu_seconds(self) -> float:
        return accounting.cpu_seconds(self.pids)

    def pss_bytes(self) -> int:
        return accounting.pss_bytes(self.pids)

    def settle(self) -> None:
        """Return when the server has nothing left to do."""
        last = [-1.0]

        def quiet() -> bool:
            now = self.cpu_seconds()
            same, last[0] = now - last[0] < 0.0001, now
            return same

        wait_until(quiet, f"{self.peer.name} to become idle", step_seconds=0.1)

    def seconds_to_reload(self) -> float:
        """From the signal to the first greeting at a listener that only the new configuration has."""
        assert self.peer.reload is not None
        self.peer.reload(self._site)
        began = time.monotonic()
        self._process.signal(self.peer.reload_signal)
        wait_for_greeting("127.0.0.1", self._site.ports["later"])
        return time.monotonic() - began

    def stop(self) -> None:
        pids = self.pids
        complaints = self._log().strip()  # before some complain that they have been ended
        self._process.stop()
        wait_until(lambda: not any(map(alive, pids)), f"{self.peer.name} to end")
        if complaints:
            print(f"{self.peer.name} wrote to its log:\n{complaints[:2000]}", file=sys.stderr)

    def _log(self) -> str:
        path = self._site.directory / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""
