"""Finds OpenSSL and opens it, once per process: which library, which back end, and whether it will do.

The library, in this order:

1. ``GATEPOST_OPENSSL=DIR``: libssl and libcrypto in that directory, and no other.
2. the one that Python's own ``_ssl`` uses, if that is a shared library: one copy in the process, and the system's
   configuration, policy and security updates apply to both.
3. ``libssl.so.4``, then ``libssl.so.3``, where the dynamic linker finds them.

The back end: the compiled module if it is there, was made from these declarations and no directory is demanded,
else ABI mode. ``GATEPOST_TLS=abi`` and ``GATEPOST_TLS=api`` insist on one.

Nothing here imports ``ssl`` or ``ctypes``: start-up stays in milliseconds.
"""

import importlib
import os
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from gatepost.errors import ConfigError

from ._decl import DIGEST, OPTIONAL
from ._fused import Fused, compiled, interpreted

LIBRARY_VARIABLE = "GATEPOST_OPENSSL"
MODE_VARIABLE = "GATEPOST_TLS"
MODES = ("abi", "api")

# nginx's name, so that a section made for it in openssl.cnf stays in force.
APPLICATION_NAME = b"nginx"

_SONAMES = (("libssl.so.4", "libcrypto.so.4"), ("libssl.so.3", "libcrypto.so.3"))
_OLDEST, _TOO_NEW = 0x30000000, 0x50000000  # OpenSSL_version_num of 3.0 and of 5.0
_INSTALL = "install OpenSSL 3.0 or later (Debian and Ubuntu: libssl3 or libssl3t64)"


@dataclass(frozen=True, slots=True)
class Library:
    """OpenSSL, opened. ``ffi`` and ``lib`` belong together; ``fused`` holds the calls of the hot path."""

    mode: str  # "abi" or "api"
    ffi: Any
    lib: Any
    fused: Fused
    number: int  # OpenSSL_version_num: 0x30000160 is 3.0.22
    version: str  # "OpenSSL 3.0.22 25 Aug 2026"

    def optional(self, name: str) -> Any:
        """The function, or None if this version does not have it. ``name`` is one of ``_decl.OPTIONAL``."""
        result, parameters = OPTIONAL[name]
        if self.mode == "api":
            address = self.lib.gatepost_optional(name.encode())
            return self.ffi.cast(f"{result}(*)({parameters})", address) if address else None
        try:
            return getattr(self.lib, name)
        except (AttributeError, self.ffi.error):
            return None


@cache
def library() -> Library:
    """The library of this process. Raises ConfigError if there is none that will do."""
    mode = os.environ.get(MODE_VARIABLE, "")
    directory = os.environ.get(LIBRARY_VARIABLE, "")
    if mode not in ("", *MODES):
        raise ConfigError(
            f'invalid value "{mode}" of the environment variable {MODE_VARIABLE}, it must be "abi" or "api"'
        )
    if mode == "api":
        if directory:
            raise ConfigError(
                f"{MODE_VARIABLE}=api and {LIBRARY_VARIABLE} exclude each other: "
                "the compiled module is linked to its library"
            )
        return load_api()
    if not mode and not directory:
        try:
            return load_api()
        except ConfigError:
            return load_abi()  # not built, or for another library: the same calls, a little slower
    return load_abi(directory)


def load_api() -> Library:
    """Open OpenSSL through the compiled module. Raises ConfigError if it is missing, or older than this source."""
    try:
        module = importlib.import_module("gatepost.tls._api")
    except ImportError as error:
        raise ConfigError(
            f'the compiled TLS module cannot be used: {error}; "python -m gatepost.tls.build" makes it'
        ) from error
    if module.lib.gatepost_declarations() != DIGEST:
        raise ConfigError(
            'the compiled TLS module is of another version; "python -m gatepost.tls.build" makes it anew'
        )
    return _opened("api", module.ffi, module.lib, compiled(module.ffi, module.lib))


def load_abi(directory: str = "") -> Library:
    """Open OpenSSL at run time, in ``directory`` if one is given. Raises ConfigError."""
    ffi = importlib.import_module("gatepost.tls._abi").ffi
    lib = _open_pair(ffi, _in_directory(directory)) if directory else _open_first(ffi)
    try:
        fused = interpreted(ffi, lib)
    except MemoryError as error:
        # Callbacks are written into memory here, as little programs; the compiled module has them in its text.
        raise ConfigError(
            "memory that can be written and executed is forbidden here (MemoryDenyWriteExecute=) and needed "
            'without the compiled TLS module; "python -m gatepost.tls.build" makes it'
        ) from error
    return _opened("abi", ffi, lib, fused)


def _opened(mode: str, ffi: Any, lib: Any, fused: Fused) -> Library:
    version = ffi.string(lib.OpenSSL_version(0)).decode("ascii", "replace")
    number = lib.OpenSSL_version_num()
    check_version(number, version)
    settings = lib.OPENSSL_INIT_new()
    lib.OPENSSL_INIT_set_config_appname(settings, APPLICATION_NAME)
    done = lib.OPENSSL_init_ssl(lib.OPENSSL_INIT_LOAD_CONFIG, settings)
    lib.OPENSSL_INIT_free(settings)
    if not done:
        raise ConfigError(f"OPENSSL_init_ssl() failed ({version})")
    # Reading openssl.cnf may leave entries that belong to no call of ours.
    lib.ERR_clear_error()
    return Library(mode, ffi, lib, fused, number, version)


def check_version(number: int, version: str) -> None:
    """Raise ConfigError unless this is OpenSSL from 3.0 to 4.x, and not one of its forks."""
    if not version.startswith("OpenSSL ") or "BoringSSL" in version or "AWS-LC" in version:
        raise ConfigError(f"{version} cannot be used in place of OpenSSL: {_INSTALL}")
    if not _OLDEST <= number < _TOO_NEW:
        raise ConfigError(f"{version} cannot be used, gatepost works with OpenSSL 3.0 to 4.x: {_INSTALL}")


def _open_first(ffi: Any) -> Any:
    """The first usable library of the search. Raises ConfigError."""
    beside_python = _used_by_python()
    if beside_python is not None:
        return _open_pair(ffi, beside_python)
    for pair in _SONAMES:
        try:
            return _open_pair(ffi, pair)
        except OSError:
            continue
    raise ConfigError(
        f"no libssl.so.3 or libssl.so.4 was found: {_INSTALL}, or name its directory in {LIBRARY_VARIABLE}"
    )


def _open_pair(ffi: Any, pair: tuple[str, str]) -> Any:
    """Open libssl with the libcrypto that belongs to it. Raises OSError, and ConfigError if they do not match."""
    ssl_path, crypto_path = pair
    crypto = ffi.dlopen(crypto_path)
    lib = ffi.dlopen(ssl_path)
    # Through libssl's handle its own libcrypto is found, which the linker may have taken from elsewhere.
    if lib.OpenSSL_version_num() != crypto.OpenSSL_version_num():
        theirs = ffi.string(lib.OpenSSL_version(0)).decode("ascii", "replace")
        ours = ffi.string(crypto.OpenSSL_version(0)).decode("ascii", "replace")
        raise ConfigError(f'"{ssl_path}" would use {theirs} instead of {ours} in "{crypto_path}"')
    return lib


def _in_directory(directory: str) -> tuple[str, str]:
    """libssl and libcrypto in ``directory``. Raises ConfigError."""
    for names in (*_SONAMES, ("libssl.so", "libcrypto.so")):
        # Links are followed, so that each library finds what lies beside it.
        paths = tuple(os.path.realpath(os.path.join(directory, name)) for name in names)
        if all(os.path.exists(path) for path in paths):
            return paths[0], paths[1]
    raise ConfigError(f'no libssl and libcrypto of OpenSSL 3 or 4 in "{directory}" ({LIBRARY_VARIABLE})')


_MAPPED = re.compile(r" (/.*/(lib(?:ssl|crypto)[^/]*\.so[^/\n]*))$", re.MULTILINE)


def _used_by_python() -> tuple[str, str] | None:
    """The libssl and libcrypto that ``_ssl`` brought in, or None if it has its own inside, or is missing."""
    try:
        importlib.import_module("_ssl")
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            return _pair_of_maps(maps.read())
    except (ImportError, OSError):
        return None


def _pair_of_maps(maps: str) -> tuple[str, str] | None:
    """The one libssl and its libcrypto in the text of ``/proc/self/maps``; None if not exactly one pair."""
    paths = {match[1] for match in _MAPPED.finditer(maps)}
    libssl = [path for path in paths if os.path.basename(path).startswith("libssl")]
    libcrypto = [path for path in paths if os.path.basename(path).startswith("libcrypto")]
    # A library replaced on disk since is shown as "(deleted)": then the linker's search finds the mapped one.
    if len(libssl) != 1 or len(libcrypto) != 1 or not all(map(os.path.exists, (*libssl, *libcrypto))):
        return None
    return libssl[0], libcrypto[0]
