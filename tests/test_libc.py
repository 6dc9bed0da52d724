"""Calls of the C library, each in a process of its own."""

import subprocess
import sys


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_what_may_be_dumped_can_be_switched() -> None:
    # PR_GET_DUMPABLE, asked for by other means.
    printed = run(
        """
import ctypes
from gatepost.libc import allow_dumps
for allowed in (False, True, False):
    allow_dumps(allowed)
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
    )
    assert printed.split() == ["0", "1", "0"]


def test_free_memory_is_given_back() -> None:
    printed = run(
        """
from gatepost.libc import trim_heap
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
held = [bytes(2000) for _ in range(20000)]
last = bytes(2000)  # on top of the heap, so that it cannot shrink by itself
full = resident()
del held
trim_heap()
print((full - resident()) * 4096 > 20_000_000)
"""
    )
    assert printed == "True\n"
