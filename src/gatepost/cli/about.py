"""What gatepost runs on, for ``-V`` and for reports of mistakes."""

import platform
from importlib.metadata import PackageNotFoundError, version

from gatepost.compiled import is_compiled
from gatepost.errors import ConfigError
from gatepost.tls._load import library

_LIBRARIES = ("uvloop", "httptools", "cffi")


def lines() -> list[str]:
    """Python, the TLS library and how it is bound, and the libraries in use, one line each."""
    return [_python(), _tls(), _libraries()]


def _python() -> str:
    compiled = " (compiled modules)" if is_compiled() else ""
    return f"running on {platform.python_implementation()} {platform.python_version()}{compiled}"


def _tls() -> str:
    try:
        found = library()
    except ConfigError as error:
        return f"without TLS: {error}"
    return f"running with {found.version} ({found.mode} mode)"


def _libraries() -> str:
    return "libraries: " + " ".join(f"{name}/{_version(name)}" for name in _LIBRARIES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
