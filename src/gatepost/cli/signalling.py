"""``-s SIGNAL``: finds the master through its pid file and tells it."""

import errno
import os
import signal

from gatepost.log import Level

from .report import Reporter

NUMBERS = {
    "stop": signal.SIGTERM,
    "quit": signal.SIGQUIT,
    "reopen": signal.SIGUSR1,
    "reload": signal.SIGHUP,
}
_MAX_PID_BYTES = 32  # more than any number of a process has digits


def send(word: str, pid_file: str, report: Reporter) -> int:
    """Send the signal that ``word`` names to the process in ``pid_file``; the exit status."""
    report(Level.NOTICE, "signal process started")
    try:
        with open(pid_file, "rb") as file:
            text = file.read(_MAX_PID_BYTES).rstrip(b"\r\n").decode("utf-8", "surrogateescape")
    except OSError as error:
        report(Level.ERROR, f'open() "{pid_file}" failed ({error.errno}: {error.strerror})')
        return 1
    # 0 and negative numbers would reach whole groups of processes.
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        report(Level.ERROR, f'invalid PID number "{text}" in "{pid_file}"')
        return 1
    number = NUMBERS[word]
    try:
        os.kill(int(text), number)
    except (OSError, OverflowError) as error:
        code = error.errno if isinstance(error, OSError) and error.errno else errno.ESRCH
        report(Level.ALERT, f"kill({text}, {number.value}) failed ({code}: {os.strerror(code)})")
        return 1
    return 0
