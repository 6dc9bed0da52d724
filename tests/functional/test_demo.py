"""The demo keeps its promises: it checks itself, and Ctrl-C ends everything that it started."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from .process import Process, alive, children, program
from .waiting import LIMIT_SECONDS, wait_until

RUN = Path(__file__).parent.parent.parent / "demo" / "run.py"


def test_it_checks_itself() -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--check"],
        capture_output=True,
        check=False,
        timeout=3 * LIMIT_SECONDS,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^IMAPS: TLSv1\.3, logged in as demouser, INBOX has \d+ messages$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^STARTTLS: TLSv1\.3, logged in as demouser, INBOX has \d+ messages$", done.stdout, re.MULTILINE
    )


def test_printed_commands_work_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with Process([sys.executable, str(RUN)], tmp_path / "output") as demo:
        wait_until(
            lambda: "Ctrl-C ends everything" in demo.text() or demo.status is not None, "the demo to be ready"
        )
        assert demo.status is None, demo.text()
        commands = [line.strip() for line in demo.text().splitlines() if line.startswith("  curl ")]
        assert len(commands) == 3
        for command in commands:
            words = command.replace("curl ", f"{program('curl')} -sS --max-time {LIMIT_SECONDS:g} ", 1)
            done = subprocess.run(["sh", "-c", words], capture_output=True, check=False, timeout=2 * LIMIT_SECONDS)
            assert done.returncode == 0, (command, done.stderr)
            assert b"INBOX" in done.stdout or b"Subject:" in done.stdout
        started = children(demo.pid)
        assert len(started) == 2
        below = [pid for child in started for pid in children(child)]
        directory = re.search(r"removes (/\S+)\.\n", demo.text())
        assert directory
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0
        assert not any(map(alive, [*started, *below]))
        assert not Path(directory[1]).exists()
