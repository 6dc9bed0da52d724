"""How this program was started, so that a new version of it can be started in the same way.

Theory of operation. What an operator replaces is a file: the script in a virtual environment, a zipapp, a link to
one of these, or the package behind ``python -m gatepost``. So the new program is found by the same words as ours
was. A script that the kernel started by its first line is started by the kernel again: the new one may name
another interpreter. Otherwise the interpreter comes first, by the path it had (a link in a virtual environment
stays one). Relative paths are tied to where we were started from.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_MAX_LINE_BYTES = 256  # of a first line, as in the kernel
_SHELLS = (
    "sh",
    "bash",
    "dash",
)  # for an interpreter whose path the kernel would not take, pip lets a shell start it


@dataclass(frozen=True, slots=True)
class Command:
    """A program for exec: its file, and its arguments with its name in front."""

    path: str
    arguments: tuple[str, ...]


def own_command() -> Command:
    """The one that this process was started by. To be asked before a file may have been replaced."""
    return command(sys.orig_argv, sys.argv, sys.executable, _directory())


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # removed under our feet; whoever started us by an absolute path will not miss it


def command(original: Sequence[str], arguments: Sequence[str], executable: str, directory: str) -> Command:
    """``original`` is what the interpreter was given, ``arguments`` what it gave to the program: ``sys.orig_argv``
    and ``sys.argv``. ``executable`` is the interpreter, ``directory`` where it was started.
    """
    own = arguments[1:]
    head = list(original[: len(original) - len(own)])
    if not head:
        head = [executable, *arguments[:1]]  # embedded in something that tells nothing about it
    if len(head) > 1 and head[-1] == arguments[0]:
        script = head[-1] = os.path.join(directory, head[-1])
        if _starts_by_itself(script, head[:-1]):
            return Command(script, (script, *own))
    return Command(executable, (executable, *head[1:], *own))


def _starts_by_itself(script: str, interpreter: Sequence[str]) -> bool:
    """Whether the first line of ``script`` leads to ``interpreter``, a program with its options."""
    try:
        with open(script, "rb") as file:
            line = file.readline(_MAX_LINE_BYTES)
    except OSError:
        return False
    if not line.startswith(b"#!") or not os.access(script, os.X_OK):
        return False
    words = os.fsdecode(line[2:]).split()
    if words and os.path.basename(words[0]) in _SHELLS:
        return True
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if word != "-S"]
    if words and "/" not in words[0]:
        # Searched for, and the path that was found may be given.
        interpreter = [os.path.basename(interpreter[0]), *interpreter[1:]]
    return words == list(interpreter)
