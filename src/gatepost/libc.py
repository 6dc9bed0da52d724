"""What the C library and the kernel offer and Python does not.

Out of line for cffi, whose core is loaded anyway: nothing is parsed at start, and ``ctypes`` stays out.
"""

from typing import Any

import _cffi_backend

_PR_SET_DUMPABLE = 4

# int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long); int malloc_trim(size_t);
# as cffi's emit_python_code() writes them.
_FFI = _cffi_backend.FFI(
    "gatepost.libc",
    _version=0x2601,
    _types=b"\x00\x00\x01\x0d\x00\x00\x07\x01\x00\x00\x0a\x01\x00\x00\x0a\x01\x00\x00\x0a\x01\x00\x00\x0a\x01"
    b"\x00\x00\x00\x0f\x00\x00\x01\x0d\x00\x00\x1c\x01\x00\x00\x00\x0f",
    _globals=(b"\x00\x00\x07\x23malloc_trim", 0, b"\x00\x00\x00\x23prctl", 0),
)
_LIBRARY: Any = _FFI.dlopen(None)


def allow_dumps(allowed: bool) -> None:
    """Whether this process may leave a core file, and its own user may look into its memory (prctl(2)).

    Both show private keys, so this is off where nobody asks for it.
    """
    _LIBRARY.prctl(_PR_SET_DUMPABLE, int(allowed), 0, 0, 0)


def trim_heap() -> None:
    """Give free memory back to the system (malloc_trim(3)); C libraries without it do so by themselves."""
    try:
        trim = _LIBRARY.malloc_trim
    except AttributeError:
        return
    trim(0)
