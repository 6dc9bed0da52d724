"""Runs all measurements in interleaved rounds, prints the tables, and writes them where asked."""

import argparse
import contextlib
import datetime
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.functional.certificates import make_certificates

from . import report
from .measurements import MEASUREMENTS, Cpus, Scene, Size, divide
from .peers import ROOT, Peer, find_peers
from .picture import draw
from .results import Results, machine
from .rounds import DOORS, Rounds
from .running import pinned
from .scale import CLIENTS, RESERVE, measure_scale

FULL = Size(logins=960, transfer_bytes=1 << 29, idle_clients=2000, latency_logins=100)
QUICK = Size(logins=960, transfer_bytes=1 << 29, idle_clients=500, latency_logins=20)
ROUNDS, QUICK_ROUNDS = 9, 5  # as many of them as the time allows
LIMIT_SECONDS, QUICK_LIMIT_SECONDS = 14 * 60.0, 105.0  # no round begins that would probably end later


@contextlib.contextmanager
def backend(cpus: Cpus) -> Iterator[dict[str, int]]:
    """The servers behind; their ports by protocol, and that of the authentication service as ``auth``."""
    with pinned(cpus.load):
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    assert child.stdin
    assert child.stdout
    try:
        ports: dict[str, int] = json.loads(child.stdout.readline())
        yield ports
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(30)


def commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=30,
        text=True,
    )
    return done.stdout.strip() or "unknown"


def allow_descriptors(wanted: int) -> int:
    """As many as wanted, where this user may; else as many as he may. How many there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(hard, wanted)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    except (ValueError, OSError):  # not root: what is allowed has to do
        limit = hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What gatepost costs, beside others.")
    parser.add_argument("--quick", action="store_true", help="the main rows only, in under two minutes")
    parser.add_argument("--scale", action="store_true", help="instead: 10,000 idle clients on one worker")
    parser.add_argument("--write", action="store_true", help="write the tables and the picture into docs/")
    parser.add_argument("--share", action="store_true", help="server, load and backends share all CPUs")
    parser.add_argument("--rounds", type=int, help="how often each server is measured, at most")
    parser.add_argument("--logins", type=int, help="how many logins make one figure")
    parser.add_argument("--clients", type=int, help="how many idle clients make one figure")
    parser.add_argument("--only", action="append", help="only this row, by its key: " + " ".join(DOORS))
    parser.add_argument("--without", action="append", default=[], metavar="SERVER", help="leave this server out")
    parser.add_argument("--with", action="append", dest="those", metavar="SERVER", help="only these servers")
    return parser.parse_args()


def main() -> None:
    chosen = parse()
    size = QUICK if chosen.quick else FULL
    size = Size(
        chosen.logins or size.logins,
        size.transfer_bytes,
        chosen.clients or size.idle_clients,
        size.latency_logins,
    )
    available = os.sched_getaffinity(0)
    cpus = Cpus(frozenset(available), frozenset(available)) if chosen.share else divide(available)
    descriptors = allow_descriptors(2 * CLIENTS + RESERVE)
    directory = Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    directory.chmod(0o755)
    try:
        peers = [
            peer
            for peer in find_peers(directory)
            if peer.name not in chosen.without and (chosen.those is None or peer.name in chosen.those)
        ]
        with backend(cpus) as behind:
            scene = Scene(directory, make_certificates(directory), behind, size, cpus)
            if chosen.scale:
                _scale(scene, peers, chosen, descriptors)
            else:
                _full(scene, peers, chosen)
    finally:
        shutil.rmtree(directory)


def _full(scene: Scene, peers: Sequence[Peer], chosen: argparse.Namespace) -> None:
    if chosen.quick:
        peers = [peer for peer in peers if peer.name not in ("HAProxy", "Dovecot")]
    wanted = [
        each
        for each in MEASUREMENTS
        if (set(each.keys) & set(chosen.only) if chosen.only else each.quick or not chosen.quick)
    ]
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    results = Results(peers)
    Rounds(scene, results, wanted).run(rounds, QUICK_LIMIT_SECONDS if chosen.quick else LIMIT_SECONDS)
    print(machine(scene.cpus), report.how(results, scene.cpus), report.remarks(peers), sep="\n\n")
    print()
    print(report.ratios_table(results), report.figures_table(results), sep="\n\n")
    if chosen.write:
        now = datetime.datetime.now(datetime.UTC).date().isoformat()
        (ROOT / "docs" / "performance.md").write_text(report.page(results, scene.cpus, now, commit()))
        picture = draw(results, f"{now}, {commit()}; medians of interleaved rounds: {results.rounds}")
        (ROOT / "docs" / "performance.svg").write_text(picture)


def _scale(scene: Scene, peers: Sequence[Peer], chosen: argparse.Namespace, descriptors: int) -> None:
    text = measure_scale(scene, peers, descriptors)
    now = datetime.datetime.now(datetime.UTC).date().isoformat()
    print(text)
    if chosen.write:
        head = f'# 10,000 idle clients\n\n{now}, commit {commit()}, by `make bench ARGS="--scale --write"`.\n'
        (ROOT / "docs" / "performance-scale.md").write_text(f"{head}{machine(scene.cpus)}.\n\n{text}\n")


if __name__ == "__main__":
    main()
