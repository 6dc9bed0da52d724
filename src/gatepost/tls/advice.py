"""What an operator would want to hear about certificates and keys that can be used all the same."""

import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

from ._load import Library
from .settings import shown

EXPIRY_DAYS = 14  # time enough to get a new certificate


def advise_on_validity(
    library: Library, certificates: Sequence[Any], name: str, warn: Callable[[str], None]
) -> None:
    """Warn of each of the ``X509 *`` from ``name`` that is not valid now, or not for much longer."""
    lib = library.lib
    for number, certificate in enumerate(certificates, 1):
        what = f'certificate "{shown(name)}"'
        if number > 1:
            what = f'certificate {number} of the chain in "{shown(name)}"'
        starts = _until(library, lib.X509_get0_notBefore(certificate))
        ends = _until(library, lib.X509_get0_notAfter(certificate))
        if starts is None or ends is None:
            warn(f"{what} has no readable time of validity")
        elif ends <= (0, 0):
            warn(f"{what} has expired")
        elif starts > (0, 0):
            warn(f"{what} is not valid yet")
        elif ends < (EXPIRY_DAYS, 0):
            days = ends[0]
            left = f"in {days} day{'s' if days > 1 else ''}" if days else "in less than a day"
            warn(f"{what} expires {left}")


def _until(library: Library, time: Any) -> tuple[int, int] | None:
    """Days and seconds from now to an ``ASN1_TIME *``, both negative if it has passed; None if it is no time."""
    days, seconds = library.ffi.new("int *"), library.ffi.new("int *")
    if not library.lib.ASN1_TIME_diff(days, seconds, library.ffi.NULL, time):
        library.lib.ERR_clear_error()
        return None
    return days[0], seconds[0]


def advise_on_key_file(name: str, warn: Callable[[str], None]) -> None:
    """Warn of a private key that every user of the machine can read."""
    path = name.removeprefix("store:file:") if name.startswith("store:file:") else name
    if not path.startswith("/"):
        return  # not a file
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # who reads it will say so
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        warn(f'certificate key "{path}" can be read by every user of this machine')
