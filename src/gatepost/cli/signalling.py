"""``-s SIGNAL``: finds the master through its pid file and tells it."""

import errno
import os
import signal

from gatepost.log import Level
from gatepost.master import pidfile

from .report import Reporter

NUMBERS = {
    "stop": signal.SIGTERM,
    "quit": signal.SIGQUIT,
    "reopen": signal.SIGUSR1,
    "reload": signal.SIGHUP,
}


def send(word: str, pid_file: str, report: Reporter) -> int:
    """Send the signal that ``word`` names to the process in ``pid_file``; the exit status."""
    report(Level.NOTICE, "signal process started")
    try:
        text = pidfile.read(pid_file)
    except OSError as error:
        report(Level.ERROR, f'open() "{pid_file}" failed ({error.errno}: {error.strerror})')
        return 1
    # 0 and negative numbers would reach whole groups of processes.
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        report(Level.ERROR, f'invalid PID number "{text}" in "{pid_file}"')
        return 1
    pid, number = int(text), NUMBERS[word]
    try:
        os.kill(pid, 0)
        if _is_foreign(pid, pid_file):
            report(Level.ERROR, f'process {pid} in "{pid_file}" is not a gatepost: not signalled')
            return 1
        os.kill(pid, number)
    except (OSError, OverflowError) as error:
        code = error.errno if isinstance(error, OSError) and error.errno else errno.ESRCH
        report(Level.ALERT, f"kill({text}, {number.value}) failed ({code}: {os.strerror(code)})")
        return 1
    return 0


def _is_foreign(pid: int, pid_file: str) -> bool:
    """Whether the number in the file, which a dead master left, belongs to somebody else by now."""
    try:
        return pidfile.owner(pid_file) != pid
    except OSError:
        return False  # no locks there: nginx would not have looked either
