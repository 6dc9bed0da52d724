"""Which modules ``GATEPOST_COMPILE=1`` compiles, and whether this install has them compiled.

The sources are the same: mypyc, which comes with mypy, makes C of them (docs/why/0016-compiled-modules.md). So they
keep to what it understands; ``tests/test_compiled.py`` says what that is.
"""

import importlib.util
from pathlib import Path
from typing import Final

# What a login and its relay run through, with everything that its classes inherit from. Left out are modules whose
# classes others inherit from (errors, log), and what runs once.
PATTERNS: Final = (
    "address.py",
    "auth/backend.py",
    "auth/client.py",
    "auth/connection.py",
    "auth/message.py",
    "auth/response.py",
    "net/deadlines.py",
    "net/poller.py",
    "net/relay.py",
    "net/room.py",
    "net/stream.py",
    "net/waiting.py",
    "protocol/[a-z]*.py",
    "protocol/*/[a-z]*.py",
    "sasl/[a-z]*.py",
    "session/arrival.py",
    "session/driver.py",
    "session/endpoint.py",
    "session/login.py",
    "session_log.py",
    "tls/connection.py",
    "tls/facts.py",
    "worker/accepting.py",
)


def modules(package: Path) -> list[Path]:
    """The sources to compile, below the directory of the package. Settings are read once."""
    found = {path for pattern in PATTERNS for path in package.glob(pattern) if path.stem != "settings"}
    return sorted(found)


def is_compiled() -> bool:
    """Whether they are compiled here: one stands for all."""
    found = importlib.util.find_spec("gatepost.net.waiting")
    return found is not None and not str(found.origin).endswith(".py")
