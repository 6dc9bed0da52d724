"""Engines: code that OpenSSL before 4.0 loads to keep keys elsewhere, in hardware for example.

Their successor is the provider, reached through ``store:``. An engine that was started stays so: keys of it go on
using it for as long as the process lives.
"""

from functools import cache
from typing import Any

from gatepost.errors import ConfigError

from ._load import Library, library
from .errors import StepError, config_error

_ALL_METHODS = 0xFFFF  # ENGINE_METHOD_ALL


def load_engine_key(opened: Library, name: str, method: Any, data: Any) -> Any:
    """The private key ``engine:NAME:ID``. ``method`` and ``data`` answer when the engine asks for a password.

    The caller owns the key. Raises StepError.
    """
    engine_name, colon, identifier = name.removeprefix("engine:").partition(":")
    load = opened.optional("ENGINE_load_private_key")
    if load is None:
        raise StepError('loading "engine:..." certificate keys is not supported')
    if not colon:
        raise StepError("invalid syntax")
    key = load(_started(opened, engine_name), _text(identifier), method, data)
    if not key:
        raise StepError("ENGINE_load_private_key() failed")
    return key


@cache
def _started(opened: Library, name: str) -> Any:
    """The engine, ready for use. Raises StepError, and then the next call tries anew."""
    engine = opened.optional("ENGINE_by_id")(_text(name))
    if not engine:
        raise StepError("ENGINE_by_id() failed")
    is_started = opened.optional("ENGINE_init")(engine)
    opened.optional("ENGINE_free")(engine)  # what was started is kept by its own count
    if not is_started:
        raise StepError("ENGINE_init() failed")
    return engine


def use_engine(name: str, *, using: Library | None = None) -> None:
    """Make the engine the default for everything that it can do. Raises ConfigError.

    ``using`` is the library, the process's if not given.
    """
    opened = using or library()
    by_id = opened.optional("ENGINE_by_id")
    if by_id is None:
        raise ConfigError('"ssl_engine" directive is not supported')
    opened.lib.ERR_clear_error()
    engine = by_id(_text(name))
    if not engine:
        raise config_error(opened, f'ENGINE_by_id("{name}") failed')
    is_set = opened.optional("ENGINE_set_default")(engine, _ALL_METHODS)
    opened.optional("ENGINE_free")(engine)
    if not is_set:
        raise config_error(opened, f'ENGINE_set_default("{name}", ENGINE_METHOD_ALL) failed')
    opened.lib.ERR_clear_error()


def _text(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
