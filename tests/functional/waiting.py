"""Waiting for something to become true, with a limit. No test sleeps for a fixed time."""

import time
from collections.abc import Callable

LIMIT_SECONDS = 30.0  # for anything that a busy machine with two cores does in well under three
_STEP_SECONDS = 0.01


def wait_until(
    true: Callable[[], object], what: str, limit_seconds: float = LIMIT_SECONDS, step_seconds: float = _STEP_SECONDS
) -> None:
    """Return as soon as ``true()`` is. Raises TimeoutError naming ``what`` after ``limit_seconds``."""
    deadline = time.monotonic() + limit_seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_seconds:g} s for {what}")
        time.sleep(step_seconds)
