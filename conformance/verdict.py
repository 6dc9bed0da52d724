"""What a judge says about one port, and the programs that judges are."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """``objections`` is empty where all is well; ``remarks`` are none; ``report`` is all the judge said."""

    judge: str
    door: str
    objections: tuple[str, ...]
    remarks: tuple[str, ...]
    report: str


def run(command: Sequence[str], limit_seconds: float) -> tuple[int, str]:
    """Exit status and output; the status is -1, and the output says so, when time was up."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=limit_seconds,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},  # of the judges' own age
        )
    except subprocess.TimeoutExpired as expired:
        return -1, (expired.stdout or b"").decode(errors="replace") + f"\nnot done after {limit_seconds:g} s"
    return done.returncode, done.stdout.decode(errors="replace")
