"""Runs all measurements in interleaved rounds and prints one table."""

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.functional.certificates import Certificates, make_certificates

from .peers import Peer, Running, find_peers

LOAD_PROCESSES = 2  # the load of one measurement is shared between so many
AT_ONCE = 48  # clients; with fewer, the pauses between them leave the server's caches cold
LIMIT_SECONDS = 320


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. ``rounds`` is how often each peer is measured."""

    rounds: int
    logins: int
    transfer_bytes: int
    idle_clients: int
    latency_logins: int


QUICK = Size(rounds=5, logins=960, transfer_bytes=512 << 20, idle_clients=300, latency_logins=20)
FULL = Size(rounds=7, logins=1920, transfer_bytes=1 << 30, idle_clients=1000, latency_logins=50)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row. ``take`` gives a figure in ``unit``; lower is better in all of them."""

    title: str
    unit: str
    take: Callable[[Running, Size], float]
    quick: bool  # whether a quick run has it


def load(kind: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench.load", kind, *arguments]


def run_load(commands: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """Run the commands side by side; what each of them printed. Raises RuntimeError if one fails."""
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    results: list[dict[str, float]] = []
    for child in started:
        out, _ = child.communicate(timeout=LIMIT_SECONDS)
        if child.returncode:
            raise RuntimeError(f"the load failed with {child.returncode}")
        results.append(json.loads(out))
    return results


def cpu_per_unit(server: Running, commands: Sequence[Sequence[str]]) -> float:
    """Seconds of the server's CPU per unit of the load."""
    server.settle()
    before = server.cpu_seconds()
    results = run_load(commands)
    server.settle()
    return (server.cpu_seconds() - before) / sum(result["units"] for result in results)


def login_cost(listener: str, *more: str) -> Callable[[Running, Size], float]:
    def take(server: Running, size: Size) -> float:
        def commands(count: int) -> list[list[str]]:
            share = ["--count", str(count // LOAD_PROCESSES), "--at-once", str(AT_ONCE // LOAD_PROCESSES)]
            return [load("logins", "--port", str(server.ports[listener]), *share, *more)] * LOAD_PROCESSES

        run_load(commands(AT_ONCE * 2))  # what is built at first use is not what a login costs
        return cpu_per_unit(server, commands(size.logins)) * 1e6

    return take


def transfer_cost(kind: str) -> Callable[[Running, Size], float]:
    def take(server: Running, size: Size) -> float:
        port = str(server.ports["ecdsa"])
        run_load([load(kind, "--port", port, "--count", str(16 << 20))])
        command = load(
            kind, "--port", port, "--count", str(size.transfer_bytes // LOAD_PROCESSES), "--at-once", "4"
        )
        return cpu_per_unit(server, [command] * LOAD_PROCESSES)

    return take


def idle_memory(server: Running, size: Size) -> float:
    """KiB per connection that is logged in and silent."""
    port = str(server.ports["ecdsa"])
    run_load([load("logins", "--port", port, "--count", "48", "--at-once", "16")])
    server.settle()
    before = server.pss_bytes()
    holder = subprocess.Popen(
        load("idle", "--port", port, "--count", str(size.idle_clients)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin
    assert holder.stdout
    if not holder.stdout.readline():
        raise RuntimeError(f"the load failed with {holder.wait(LIMIT_SECONDS)}")
    server.settle()
    held = server.pss_bytes() - before
    holder.stdin.close()
    holder.stdout.close()
    holder.wait(LIMIT_SECONDS)
    return held / size.idle_clients / 1024


def start_memory(server: Running, _: Size) -> float:
    server.settle()
    return server.pss_bytes() / (1 << 20)


def login_latency(server: Running, size: Size) -> float:
    command = load("latency", "--port", str(server.ports["ecdsa"]), "--count", str(size.latency_logins))
    (result,) = run_load([command])
    return result["median"] * 1e3


MEASUREMENTS = (
    # First, while the server is as it started.
    Measurement("memory after the start, all processes", "MiB", start_memory, quick=True),
    Measurement("memory per idle logged-in IMAPS connection", "KiB", idle_memory, quick=True),
    Measurement("CPU per IMAPS login session, ECDSA P-256, TLS 1.3", "µs", login_cost("ecdsa"), quick=True),
    Measurement("the same, RSA-2048", "µs", login_cost("rsa"), quick=False),
    Measurement("the same, ECDSA, resumed", "µs", login_cost("ecdsa", "--resume"), quick=False),
    Measurement("CPU per login session in the clear", "µs", login_cost("clear", "--clear"), quick=False),
    Measurement("CPU per GiB downloaded", "s", transfer_cost("download"), quick=True),
    Measurement("CPU per GiB uploaded", "s", transfer_cost("upload"), quick=False),
    Measurement("median time of a login alone, TLS 1.3", "ms", login_latency, quick=False),
)


@contextlib.contextmanager
def backend() -> Iterator[int]:
    """The servers behind; the port of the authentication service."""
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.backend"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdin
    assert child.stdout
    try:
        ports: dict[str, Any] = json.loads(child.stdout.readline())
        yield ports["auth"]
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(30)


def measure(
    peers: Sequence[Peer], size: Size, rows: Sequence[Measurement], directory: Path, certificates: Certificates
) -> dict[tuple[str, str], list[float]]:
    """Figures by (title, peer), one per round. Each round starts every peer anew; the order turns."""
    figures: dict[tuple[str, str], list[float]] = defaultdict(list)
    with backend() as auth_port:
        for number in range(size.rounds):
            order = [*peers[number % len(peers) :], *peers[: number % len(peers)]]
            running = [
                Running(peer, directory / f"{peer.name}-{number}", certificates, auth_port) for peer in order
            ]
            try:
                # One row for all peers before the next row: whatever the machine does, it does to all.
                for row in rows:
                    for server in running:
                        figures[row.title, server.peer.name].append(row.take(server, size))
                print(f"round {number + 1} of {size.rounds}", file=sys.stderr)
            finally:
                for server in running:
                    server.stop()
    return figures


def machine() -> str:
    model = platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        model = names[0] if names else model
    return (
        f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
    )


def figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(peers: Sequence[Peer], rows: Sequence[Measurement], figures: dict[tuple[str, str], list[float]]) -> str:
    """Markdown: medians, and the ratio of the medians where there is something to compare with."""
    first, *others = peers
    heads = [
        "",
        *(f"{peer.name} {peer.version}" for peer in peers),
        *(f"{first.name} / {peer.name}" for peer in others),
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in rows:
        medians = {peer.name: statistics.median(figures[row.title, peer.name]) for peer in peers}
        cells = [row.title]
        for peer in peers:
            values = figures[row.title, peer.name]
            spread = f"{figure(min(values))} to {figure(max(values))}"
            cells.append(f"{figure(medians[peer.name])} {row.unit} ({spread})")
        cells += [f"{medians[first.name] / medians[peer.name]:.2f}" for peer in others]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What gatepost costs, beside nginx.")
    parser.add_argument("--quick", action="store_true", help="the main rows only, in under two minutes")
    parser.add_argument("--rounds", type=int, help="how often each server is measured")
    parser.add_argument("--only", help="only rows whose title contains this text")
    parser.add_argument("--without", action="append", default=[], help="leave this server out")
    chosen = parser.parse_args()
    size = QUICK if chosen.quick else FULL
    if chosen.rounds:
        size = Size(chosen.rounds, size.logins, size.transfer_bytes, size.idle_clients, size.latency_logins)
    rows = [
        row
        for row in MEASUREMENTS
        if (row.quick or not chosen.quick or chosen.only) and (not chosen.only or chosen.only in row.title)
    ]
    peers = [peer for peer in find_peers() if peer.name not in chosen.without]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    directory = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    directory.chmod(0o755)
    try:
        figures = measure(peers, size, rows, directory, make_certificates(directory))
    finally:
        shutil.rmtree(directory)
    print(f"{machine()}\n")
    print(f"medians of {size.rounds} interleaved rounds (smallest to largest); one worker each;")
    print(f"{AT_ONCE} clients at once, except for memory and latency\n")
    print(table(peers, rows, figures))
    if len(peers) == 1:
        print("\nnginx with its mail module is not here; Debian: apt-get install nginx libnginx-mod-mail")


if __name__ == "__main__":
    main()
