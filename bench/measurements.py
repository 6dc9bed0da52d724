"""How each row is taken. A ``Measurement`` gives the figures of one or several rows at once, for one server."""

import contextlib
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.functional.certificates import Certificates

from .peers import Peer
from .rows import MORE_WORKERS
from .running import Running, pinned, seconds_to_check
from .site import Site, make_site

AT_ONCE = 48  # clients; with fewer, the pauses between them leave the server's caches cold, which flatters the slow
CONNECTIONS = 8192  # descriptors that a worker may need here: twice the idle clients, and reserves
LIMIT_SECONDS = 320  # for one run of the load

Figures = dict[str, float]  # by key of the row


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    logins: int
    transfer_bytes: int
    idle_clients: int
    latency_logins: int


@dataclass(frozen=True, slots=True)
class Cpus:
    """The server has CPUs of its own where there are two or more; load and backends have the others."""

    server: frozenset[int]
    load: frozenset[int]


def divide(available: set[int]) -> Cpus:
    """The last one is the server's: interrupts tend to be served by the first."""
    ordered = sorted(available)
    if len(ordered) < 2:
        return Cpus(frozenset(ordered), frozenset(ordered))
    return Cpus(frozenset(ordered[-1:]), frozenset(ordered[:-1]))


class Scene:
    """Where servers are started: what lies behind them, and on which CPUs everything runs."""

    def __init__(
        self, directory: Path, certificates: Certificates, behind: Mapping[str, int], size: Size, cpus: Cpus
    ) -> None:
        self.size = size
        self.cpus = cpus
        self._directory = directory
        self._certificates = certificates
        self._behind = behind
        self._numbers = itertools.count()

    @property
    def load_processes(self) -> int:
        return min(len(self.cpus.load), 4)

    def start(self, peer: Peer, workers: int = 1, connections: int = CONNECTIONS) -> Running:
        """``workers`` above one have all CPUs: there is nothing to share on one."""
        site = self._site(workers, connections)
        return Running(peer, site, self.cpus.server if workers == 1 else self.cpus.server | self.cpus.load)

    def seconds_to_check(self, peer: Peer) -> float:
        """How long ``peer`` takes to find a configuration good."""
        return seconds_to_check(peer, self._site(1, CONNECTIONS), self.cpus.server)

    def _site(self, workers: int, connections: int) -> Site:
        directory = self._directory / str(next(self._numbers))
        return make_site(directory, self._certificates, self._behind, workers, connections)

    @contextlib.contextmanager
    def fresh(self, peer: Peer, workers: int = 1, connections: int = CONNECTIONS) -> Iterator[Running]:
        server = self.start(peer, workers, connections)
        try:
            yield server
        finally:
            server.stop()

    def run(self, commands: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Run loads side by side; what each of them printed. Raises RuntimeError if one fails."""
        with pinned(self.cpus.load):
            started = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
        results: list[dict[str, Any]] = []
        for child in started:
            out, _ = child.communicate(timeout=LIMIT_SECONDS)
            if child.returncode:
                raise RuntimeError(f"the load failed with {child.returncode}: {' '.join(child.args)}")  # type: ignore[arg-type]
            results.append(json.loads(out))
        return results

    @contextlib.contextmanager
    def holding(self, command: Sequence[str]) -> Iterator[None]:
        """Run a load that holds clients; it has them all inside the block."""
        with pinned(self.cpus.load):
            holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdin
        assert holder.stdout
        try:
            if not holder.stdout.readline():
                raise RuntimeError(f"the load failed with {holder.wait(LIMIT_SECONDS)}")
            yield
        finally:
            holder.stdin.close()
            holder.stdout.close()
            holder.wait(LIMIT_SECONDS)


def load(kind: str, server: Running, door: str, *more: str) -> list[str]:
    host, port = server.address(door)
    return [sys.executable, "-m", "bench.load", kind, "--host", host, "--port", str(port), *more]


def cpu_per_unit(scene: Scene, server: Running, commands: Sequence[Sequence[str]]) -> float:
    """Seconds of the server's CPU per unit of the load."""
    server.settle()
    before = server.cpu_seconds()
    results = scene.run(commands)
    server.settle()
    units: float = sum(result["units"] for result in results)
    return (server.cpu_seconds() - before) / units


def login_cost(scene: Scene, server: Running, door: str, *more: str) -> float:
    """Microseconds of CPU per session."""
    processes = scene.load_processes
    protocol, _, kind = door.partition("-")
    if kind == "clear":
        more = ("--clear", *more)

    def commands(count: int) -> list[list[str]]:
        share = ("--count", str(count // processes), "--at-once", str(AT_ONCE // processes))
        return [load("logins", server, door, "--protocol", protocol, *share, *more)] * processes

    scene.run(commands(2 * AT_ONCE))  # what is built at first use is not what a login costs
    return cpu_per_unit(scene, server, commands(scene.size.logins)) * 1e6


@dataclass(frozen=True, slots=True)
class Measurement:
    """Takes the rows ``keys``. ``running`` is a server with one worker that other measurements have used; one that
    needs another starts it.
    """

    keys: tuple[str, ...]
    take: Callable[[Scene, Running], Figures]
    quick: bool = False  # whether a quick run has it
    rounds: int = 99  # so many are enough: the figure hardly varies, or is not compared with an aim


def _login(key: str, door: str, *more: str, quick: bool = False, rounds: int = 99) -> Measurement:
    return Measurement(
        (key,), lambda scene, server: {key: login_cost(scene, server, door, *more)}, quick=quick, rounds=rounds
    )


def _two_workers(scene: Scene, server: Running) -> Figures:
    with scene.fresh(server.peer, workers=2) as other:
        return {"two-workers": login_cost(scene, other, "imap-ecdsa")}


def _transfer(kind: str) -> Callable[[Scene, Running], Figures]:
    def take(scene: Scene, server: Running) -> Figures:
        scene.run([load(kind, server, "imap-ecdsa", "--count", str(16 << 20))])
        processes = scene.load_processes
        size = str(scene.size.transfer_bytes // processes)
        command = load(kind, server, "imap-ecdsa", "--count", size, "--at-once", "4")
        return {kind: cpu_per_unit(scene, server, [command] * processes)}

    return take


def _latency(scene: Scene, server: Running) -> Figures:
    (result,) = scene.run([load("latency", server, "imap-ecdsa", "--count", str(scene.size.latency_logins))])
    taken = [seconds * 1e3 for seconds in result["taken"]]
    return {"latency": statistics.median(taken), "latency-p99": percentile(taken, 99)}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def _start(scene: Scene, server: Running) -> Figures:
    """A fresh server: how long it takes, what it needs then, and what each greeted client adds."""
    with scene.fresh(server.peer) as fresh:
        fresh.settle()
        return {
            "start": fresh.seconds_to_serve * 1e3,
            "memory-start": fresh.pss_bytes() / (1 << 20),
            "memory-greeted": idle_memory(scene, fresh, "greeted"),
        }


def _start_more(scene: Scene, server: Running) -> Figures:
    """The same with more workers, without clients."""
    figures: Figures = {}
    for workers in MORE_WORKERS:
        with scene.fresh(server.peer, workers) as fresh:
            fresh.settle()
            figures |= {
                f"start-{workers}": fresh.seconds_to_serve * 1e3,
                f"memory-start-{workers}": fresh.pss_bytes() / (1 << 20),
            }
    return figures


def _check(scene: Scene, server: Running) -> Figures:
    return {"check": scene.seconds_to_check(server.peer) * 1e3} if server.peer.check else {}


def _idle(scene: Scene, server: Running) -> Figures:
    with scene.fresh(server.peer) as fresh:
        return {"memory-idle": idle_memory(scene, fresh, "idle")}


def idle_memory(scene: Scene, server: Running, kind: str) -> float:
    """KiB per connection that is held silent in a server that had none."""
    scene.run([load("logins", server, "imap-ecdsa", "--count", str(2 * AT_ONCE), "--at-once", "16")])
    server.settle()
    before = server.pss_bytes()
    count = scene.size.idle_clients
    with scene.holding(load(kind, server, "imap-ecdsa", "--count", str(count))):
        server.settle()
        return (server.pss_bytes() - before) / count / 1024


def _reload(_: Scene, server: Running) -> Figures:
    return {} if server.peer.reload is None else {"reload": server.seconds_to_reload() * 1e3}


MEASUREMENTS = (
    _login("imap-ecdsa", "imap-ecdsa", quick=True),
    _login("imap-rsa", "imap-rsa"),
    _login("imap-resumed", "imap-ecdsa", "--resume"),
    _login("imap-clear", "imap-clear", quick=True),
    *(
        _login(f"{protocol}-{key}", f"{protocol}-{door}", *more, rounds=3)
        for protocol in ("pop3", "smtp")
        for key, door, more in (
            ("ecdsa", "ecdsa", ()),
            ("rsa", "rsa", ()),
            ("resumed", "ecdsa", ("--resume",)),
            ("clear", "clear", ()),
        )
    ),
    Measurement(("download",), _transfer("download"), quick=True),
    Measurement(("upload",), _transfer("upload")),
    Measurement(("latency", "latency-p99"), _latency),
    Measurement(("start", "memory-start", "memory-greeted"), _start, rounds=3),
    Measurement(
        tuple(f"{key}-{workers}" for workers in MORE_WORKERS for key in ("start", "memory-start")),
        _start_more,
        rounds=3,
    ),
    Measurement(("check",), _check, rounds=3),
    Measurement(("memory-idle",), _idle, quick=True, rounds=3),
    Measurement(("two-workers",), _two_workers, rounds=3),
    # Last: afterwards it is another server.
    Measurement(("reload",), _reload, rounds=3),
)
