"""``-s``: which process hears what, and what can be wrong with a pid file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.cli.report import Reporter
from gatepost.cli.signalling import send

LIMIT_SECONDS = 30

MASTER = "from gatepost.master.pidfile import PidFile; file = PidFile(sys.argv[1]); file.write()"
FOREIGN = "import os; print(os.getpid(), file=open(sys.argv[1], 'w'))"


def _process(path: Path, deed: str) -> subprocess.Popen[str]:
    """A process that has done ``deed`` with the pid file, and goes on."""
    # Whoever starts the tests may ignore HUP, or QUIT as a shell does in the background, and children inherit that.
    heard = "(signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)"
    deed = f"[signal.signal(number, signal.SIG_DFL) for number in {heard}]; {deed}"
    code = f"import signal, sys, time; {deed}; print('done', flush=True); time.sleep(600)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", code, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    return process


def _signalled(word: str, directory: Path) -> int:
    """The status of a process that was told ``word`` through its pid file."""
    path = directory / "pid"
    with _process(path, MASTER) as process:
        try:
            assert send(word, str(path), Reporter()) == 0
            return process.wait(LIMIT_SECONDS)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("stop", signal.SIGTERM),
        ("quit", signal.SIGQUIT),
        ("reopen", signal.SIGUSR1),
        ("reload", signal.SIGHUP),
    ],
)
def test_each_word_is_a_signal(tmp_path: Path, word: str, number: signal.Signals) -> None:
    assert _signalled(word, tmp_path) == -number


@pytest.mark.parametrize("text", ["", "abc", "12x", "-1", "0", "1 2", "\u0661"])
def test_what_is_no_number_is_not_signalled(tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pid"
    path.write_text(text)
    assert send("stop", str(path), Reporter()) == 1
    assert capfd.readouterr().err == f'gatepost: [error] invalid PID number "{text}" in "{path}"\n'


def test_a_missing_pid_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert send("stop", str(tmp_path / "no"), Reporter()) == 1
    expected = f'gatepost: [error] open() "{tmp_path}/no" failed (2: No such file or directory)\n'
    assert capfd.readouterr().err == expected


@pytest.mark.parametrize("pid", [2**22 + 1, 10**30])
def test_a_process_that_is_gone(tmp_path: Path, pid: int, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pid"
    path.write_text(str(pid))
    assert send("reload", str(path), Reporter()) == 1
    assert capfd.readouterr().err == f"gatepost: [alert] kill({pid}, 1) failed (3: No such process)\n"


def test_a_process_that_only_has_the_number_is_not_signalled(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pid"
    with _process(path, FOREIGN) as process:
        try:
            assert send("stop", str(path), Reporter()) == 1
            expected = f'gatepost: [error] process {process.pid} in "{path}" is not a gatepost: not signalled\n'
            assert capfd.readouterr().err == expected
            assert process.poll() is None
        finally:
            process.kill()
