"""command-injection-tester: is a command that came in the clear behind STARTTLS obeyed under TLS?"""

import sys
from pathlib import Path

from .edge import HOST, Door
from .verdict import Verdict, run

_LIMIT_SECONDS = 180.0
_PATIENCE_SECONDS = 3  # for each answer; it takes silence of this length for the end of an answer
_CLEAR = "Probably no command injection here!"  # its best word; there is no other


def judge(door: Door, directory: Path) -> Verdict:
    assert door.starttls, "it tests STARTTLS"
    # It is a script without a module, installed beside the interpreter.
    script = Path(sys.executable).with_name("command-injection-tester")
    command = [sys.executable, str(script), "--nocolor", "--timeout", str(_PATIENCE_SECONDS)]
    command += ["--logdir", str(directory / "injection"), f"--{door.starttls}"]
    command += [f"--{door.starttls}-port", str(door.port), HOST]
    status, report = run(command, _LIMIT_SECONDS)
    clear = status == 0 and "Sanity test done" in report and _CLEAR in report
    lines = [line for line in report.splitlines() if "WARNING" in line or "ERROR" in line]
    objections = tuple(lines) or (() if clear else (f"no verdict (exit status {status})",))
    return Verdict("command-injection-tester", door.name, objections, (), report)
