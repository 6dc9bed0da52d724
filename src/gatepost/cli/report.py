"""What the command says on standard error, and in the log, before there is a running daemon."""

import os
import sys
from collections.abc import Sequence

from gatepost.log import Level, Log, Outputs, Sink

PROGRAM = "gatepost"


def say(text: str) -> None:
    """One line on standard error."""
    line = f"{text}\n".encode("utf-8", "surrogateescape")
    try:
        sys.stderr.flush()
        os.write(2, line)
    except OSError:
        return  # nobody listens; the exit status still tells


class Reporter:
    """Says things to the operator who gave the command, and to the error log where that is not the same."""

    def __init__(self) -> None:
        self._outputs = Outputs()
        self._logs: list[Log] = []

    def log_to(self, sinks: Sequence[Sink]) -> list[str]:
        """Log to ``sinks`` from now on; what is wrong with files among them that cannot be opened."""
        self._outputs.prune(())
        failures = []
        self._logs = []
        for sink in sinks:
            if sink.target is None:
                continue  # standard error is served anyway
            try:
                self._logs.append(self._outputs.log([sink]))
            except OSError as error:
                failures.append(f'open() "{sink.target}" failed ({error.errno}: {error.strerror})')
        return failures

    def __call__(self, level: Level, message: str) -> None:
        """``gatepost: [LEVEL] MESSAGE``. What is less severe than a warning goes to the log only."""
        if level <= Level.WARN:
            say(f"{PROGRAM}: [{level.word}] {message}")
        for log in self._logs:
            log.write(level, message)
