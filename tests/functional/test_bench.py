"""The benchmark runs, small: it cannot rot between the days when somebody wants to know."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from bench.peers import Peer
from bench.picture import draw
from bench.report import ratios_table
from bench.results import Results

ROOT = Path(__file__).parent.parent.parent


def test_a_small_run() -> None:
    """Every kind of measurement but those that take long: CPU, memory, latency, start, reload, another protocol."""
    rows = ("imap-resumed", "smtp-clear", "memory-idle", "latency", "reload")
    command = [
        sys.executable,
        "-m",
        "bench",
        "--rounds",
        "1",
        "--logins",
        "96",
        "--clients",
        "48",
        "--with",
        "gatepost",
    ]
    for row in rows:
        command += ["--only", row]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120, text=True)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(rows) + 1, done.stdout  # a latency has two rows
    for line in table[2:]:
        title, figure = line.strip("| ").split(" | ")
        assert title
        assert float(figure.split()[0]) > 0


def results() -> Results:
    def nothing(_: object) -> tuple[str, ...]:
        raise AssertionError("nothing is started here")

    peers = [Peer(name, "1.0", nothing) for name in ("gatepost", "nginx", "<other>")]
    found = Results(peers, rounds=2)
    for number, (ours, theirs, others) in enumerate(((90.0, 100.0, 300.0), (190.0, 200.0, 700.0))):
        for peer, value in zip(peers, (ours, theirs, others), strict=True):
            found.add(peer, number, {"imap-ecdsa": value})
    found.add(peers[0], 0, {"reload": 5.0})
    return found


def test_ratios_are_taken_round_by_round_and_judged_by_the_aim() -> None:
    lines = ratios_table(results()).splitlines()
    assert len(lines) == 3  # nothing to compare the reload with
    cells = lines[2].strip("| ").split(" | ")
    assert cells[1:] == ["0.93 (0.90 to 0.95)", "3.25 (3.00 to 3.50)", "≤ 0.95, met"]


def test_the_picture_is_well_formed() -> None:
    picture = draw(results(), "today & tomorrow")
    texts = [element.text for element in ElementTree.fromstring(picture).iter() if element.text]
    assert "0.93" in texts
    assert "3.25 →" in texts  # too long, and says so
    assert "<other>" in texts
    assert "today & tomorrow" in texts
