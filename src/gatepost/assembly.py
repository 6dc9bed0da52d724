"""Gathers what the packages offer into one configuration language, and reads configurations with it.

A settings class is part of the language because a ``settings.py`` lists it in ``SETTINGS``: one in a package, or
one in a package of a protocol. Nothing is decided here but the order of the checks, which is nginx's.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable
from functools import cache

import gatepost
from gatepost.config.build import Configuration, Installation, build
from gatepost.config.parser import Parser

# Packages whose settings are checked in this order; "protocol.*" stands for each protocol, by name. In nginx: core,
# TLS, protocols, authentication, proxy. Packages not listed come last, by name.
_ORDER = ("master", "worker", "config", "protocol", "tls", "protocol.*", "auth", "session")


def _ignore(_message: str) -> None:
    return None


@cache
def groups() -> tuple[type, ...]:
    """Every settings class, in the order of its checks."""
    found = sorted(_settings_modules("gatepost", gatepost.__path__), key=_rank)
    return tuple(cls for name in found for cls in importlib.import_module(name).SETTINGS)


def _settings_modules(package: str, path: list[str]) -> list[str]:
    """Names of the ``settings`` modules below a package, found by their files, so that nothing else is imported."""
    found: list[str] = []
    for info in pkgutil.iter_modules(path):
        if info.ispkg:
            inner = [os.path.join(directory, info.name) for directory in path]
            found += _settings_modules(f"{package}.{info.name}", inner)
        elif info.name == "settings":
            found.append(f"{package}.settings")
    return found


def _rank(module: str) -> tuple[int, str]:
    package = module.removeprefix("gatepost.").removesuffix(".settings")
    family, dot, _ = package.partition(".")
    key = f"{family}.*" if dot else package
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER)), module


def load(
    installation: Installation,
    *,
    directives: str = "",
    warn: Callable[[str], object] = _ignore,
) -> Configuration:
    """Read ``installation.path``; before it ``directives``, those of the option ``-g``.

    ``warn`` hears each warning when it arises. Raises ConfigError.
    """
    parser = Parser(installation.directory)
    parser.add_file(installation.path)
    if directives:
        parser.add_directives(directives)
    return build(parser, groups(), installation=installation, warn=warn)
