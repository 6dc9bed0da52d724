"""Many idle clients on one worker while others log in: does a login get slower or dearer, and is memory linear?"""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .measurements import AT_ONCE, Scene, load, login_cost, percentile
from .peers import Peer
from .running import Running

CLIENTS = 10_000
STEPS = 4  # the clients of each are held by a process of its own, from an address of its own
RESERVE = (
    400  # descriptors of a worker for those who log in meanwhile, its listeners and the authentication service
)
PER_SECOND = 50
PACED_LOGINS = 600
QUIET_SECONDS = 3.0  # how long the server is watched while nobody wants anything
_SLOW = ("HAProxy", "Dovecot")  # left out unless asked for: what is in question is gatepost
DOOR = "imap-ecdsa"


@dataclass(frozen=True, slots=True)
class Step:
    """One server with so many idle clients. Times in ms, CPU in µs, ``quiet`` in ms of CPU per second."""

    clients: int
    pss_bytes: int
    median: float
    p99: float
    paced_cpu: float
    crowd_cpu: float
    quiet: float


def measure_scale(scene: Scene, peers: Sequence[Peer], descriptors: int) -> str:
    """Tables in Markdown, one per server. ``descriptors`` is how many a process may have here."""
    per_step = min(CLIENTS, (descriptors - RESERVE) // 2) // STEPS
    chosen = [peer for peer in peers if peer.name not in _SLOW or len(peers) == 1]
    parts = [_table(peer, _steps(scene, peer, per_step)) for peer in chosen]
    if per_step * STEPS < CLIENTS:
        parts.append(
            f"A worker needs two descriptors per client, and a process may have {descriptors} here; so there are "
            f"{per_step * STEPS} clients, not {CLIENTS}."
        )
    return "\n\n".join(parts)


def _steps(scene: Scene, peer: Peer, per_step: int) -> list[Step]:
    """From empty to full, and empty again."""
    with scene.fresh(peer, connections=2 * per_step * STEPS + RESERVE - 100) as server:
        scene.run([load("logins", server, DOOR, "--count", str(10 * AT_ONCE), "--at-once", str(AT_ONCE))])
        steps = [_look(scene, server, 0)]
        with contextlib.ExitStack() as holders:
            for number in range(1, STEPS + 1):
                source = f"127.0.0.{100 + number}"
                command = load("idle", server, DOOR, "--count", str(per_step), "--source", source)
                holders.enter_context(scene.holding(command))
                steps.append(_look(scene, server, number * per_step))
        steps.append(_look(scene, server, 0))
        return steps


def _look(scene: Scene, server: Running, clients: int) -> Step:
    print(f"{server.peer.name}: {clients} idle clients", file=sys.stderr)
    server.settle()
    pss_bytes = server.pss_bytes()
    before, began = server.cpu_seconds(), time.monotonic()
    time.sleep(QUIET_SECONDS)
    quiet = (server.cpu_seconds() - before) / (time.monotonic() - began)
    server.settle()
    before = server.cpu_seconds()
    (paced,) = scene.run(
        [load("paced", server, DOOR, "--count", str(PACED_LOGINS), "--per-second", str(PER_SECOND))]
    )
    server.settle()
    used = server.cpu_seconds() - before
    taken = sorted(seconds * 1e3 for seconds in paced["taken"])
    return Step(
        clients,
        pss_bytes,
        percentile(taken, 50),
        percentile(taken, 99),
        used / PACED_LOGINS * 1e6,
        login_cost(scene, server, DOOR),
        quiet * 1e3,
    )


def _table(peer: Peer, steps: Sequence[Step]) -> str:
    heads = (
        "idle clients",
        "memory, MiB",
        "KiB per client",
        f"login at {PER_SECOND}/s, median, ms",
        "p99, ms",
        f"CPU per login at {PER_SECOND}/s, µs",
        f"CPU per login, {AT_ONCE} at once, µs",
        "CPU without logins, ms/s",
    )
    empty, full = steps[0], max(steps, key=lambda step: step.clients)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---:|" * len(heads)]
    for step in steps:
        each = f"{(step.pss_bytes - empty.pss_bytes) / step.clients / 1024:.1f}" if step.clients else ""
        cells = (
            f"{step.clients}" + (" again" if step is steps[-1] else ""),
            f"{step.pss_bytes / (1 << 20):.1f}",
            each,
            f"{step.median:.2f}",
            f"{step.p99:.2f}",
            f"{step.paced_cpu:.0f}",
            f"{step.crowd_cpu:.0f}",
            f"{step.quiet:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    slope = (full.pss_bytes - empty.pss_bytes) / full.clients
    off = max(
        abs(step.pss_bytes - empty.pss_bytes - slope * step.clients) / (slope * full.clients) for step in steps[:-1]
    )
    lines += [
        "",
        f"{peer.name} {peer.version}, one worker. With {full.clients} idle clients the 99th percentile of a "
        f"login is {full.p99 / empty.p99:.2f} times the empty server's, a login at {PER_SECOND}/s costs "
        f"{full.paced_cpu / empty.paced_cpu:.2f} times as much CPU, one of {AT_ONCE} at once "
        f"{full.crowd_cpu / empty.crowd_cpu:.2f} times; memory is off the straight line by {off * 100:.1f} % "
        "of what all clients need, at most.",
    ]
    return "\n".join(lines)
