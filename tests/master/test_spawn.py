"""Forking and reaping, in a process of its own: the test runner has threads, and threads and fork do not mix."""

import subprocess
import sys
from pathlib import Path

PRELUDE = """
import os, signal, sys
from gatepost.log import Level, Outputs, Sink
from gatepost.master.spawn import CRASH_STATUS, reap, spawn
log = Outputs().log([Sink(sys.argv[1], Level.INFO)])
def deaths(count):
    found = []
    while len(found) < count:
        signal.sigwait({signal.SIGCHLD})
        found += reap()
    return found
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
"""


def run(tmp_path: Path, script: str) -> tuple[str, str]:
    """What the script printed, and the log it wrote."""
    log = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(log)], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout, log.read_text()


def test_exit_statuses_come_back(tmp_path: Path) -> None:
    printed, _ = run(
        tmp_path,
        """
pids = [spawn(lambda status=status: status, log) for status in (0, 2, 7)]
found = {death.pid: death.status for death in deaths(3)}
print([found[pid] for pid in pids], reap())
""",
    )
    assert printed == "[0, 2, 7] []\n"


def test_a_signal_is_a_negative_status(tmp_path: Path) -> None:
    printed, _ = run(
        tmp_path,
        """
pid = spawn(signal.pause, log)
os.kill(pid, signal.SIGKILL)
print(deaths(1)[0].status)
""",
    )
    assert printed == "-9\n"


def test_a_signal_waits_until_the_child_is_ready_for_it(tmp_path: Path) -> None:
    printed, _ = run(
        tmp_path,
        """
def work():
    signal.sigwait({signal.SIGUSR1})
    return 3 if signal.SIGTERM in signal.sigpending() else 4
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
pid = spawn(work, log)
os.kill(pid, signal.SIGTERM)
os.kill(pid, signal.SIGUSR1)
print(deaths(1)[0].status)
""",
    )
    assert printed == "3\n"


def test_an_error_in_a_worker_is_logged_and_stays_there(tmp_path: Path) -> None:
    printed, log = run(
        tmp_path,
        """
def work():
    raise RuntimeError("the password is swordfish")
spawn(work, log)
print(deaths(1)[0].status == CRASH_STATUS)
""",
    )
    assert printed == "True\n"
    assert "[alert]" in log
    assert "worker failed: RuntimeError at " in log
    assert "swordfish" not in log


def test_what_was_not_flushed_is_printed_once(tmp_path: Path) -> None:
    printed, _ = run(
        tmp_path,
        """
sys.stdout.write("once ")
spawn(lambda: 0, log)
deaths(1)
""",
    )
    assert printed == "once "


def test_what_a_child_inherits_stays_shared_while_it_collects_garbage(tmp_path: Path) -> None:
    printed, _ = run(
        tmp_path,
        """
import gc
from gatepost.master.spawn import share_memory
heap = [[number] for number in range(300_000)]  # each tracked by the collector
def private():
    with open("/proc/self/smaps_rollup") as file:
        (line,) = (line for line in file if line.startswith("Private_Dirty:"))
    return int(line.split()[1])
def work():
    before = private()
    gc.collect()
    print(private() - before > 10_000, flush=True)
    return 0
spawn(work, log)
deaths(1)
share_memory()
spawn(work, log)
deaths(1)
cycle = []
cycle.append(cycle)
del cycle
share_memory()
print(gc.get_freeze_count() > 300_000, gc.collect())
""",
    )
    assert printed.split() == ["True", "False", "True", "0"]
