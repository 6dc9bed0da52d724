"""The committed corpus: what it begins with, and what of a long run is worth keeping.

An input is kept when running it reaches a step from one line of gatepost to another that no smaller input has
reached. So the corpus stays small, and whoever reads it finds each input there for a reason. Where the parsing is
done in C the beginnings are kept besides.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import gatepost

from .target import CORPUS, Target

_SOURCE = str(Path(gatepost.__file__).parent)
Step = tuple[str, int, int]


def distil(target: Target, candidates: Iterable[bytes]) -> list[bytes]:
    """The candidates to keep. Raises what ``target`` raises."""
    seen: set[Step] = set()
    kept = sorted(set(target.seeds())) if target.native else []
    target.run(b"")  # what happens only once is nobody's merit
    for data in sorted(set(candidates), key=lambda data: (len(data), data)):
        if len(data) > target.max_bytes:
            continue
        with traced() as steps:
            target.run(data)
        if data in kept:
            continue
        if steps - seen:
            seen |= steps
            kept.append(data)
    return kept


@contextmanager
def traced() -> Iterator[set[Step]]:
    """The steps from line to line that are made meanwhile."""
    steps: set[Step] = set()

    def local(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            steps.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        elif event == "return":
            last.pop(frame, None)
        return local

    def entered(frame: FrameType, _event: str, _argument: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(_SOURCE) else None

    last: dict[FrameType, int] = {}
    before = sys.gettrace()
    sys.settrace(entered)
    try:
        yield steps
    finally:
        sys.settrace(before)


def replace(target: Target, inputs: Iterable[bytes]) -> None:
    """Make ``inputs`` the corpus. A file is named after its content."""
    directory = CORPUS / target.name
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {hashlib.sha256(data).hexdigest()[:16]: data for data in inputs}
    for path in directory.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, data in wanted.items():
        (directory / name).write_bytes(data)
