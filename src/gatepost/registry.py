"""Collects the one named object that each module of a package offers.

A SASL mechanism or a protocol exists because its file exists: nothing else lists them.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def collect(package: ModuleType, name: str, kind: type[T]) -> tuple[T, ...]:
    """The objects called ``name`` of all modules directly in ``package``, by module name.

    Modules without that object are passed over. Raises TypeError if an object is not a ``kind``:
    that is a bug in the module, and better found at start.
    """
    found: list[T] = []
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        offered = getattr(module, name, None)
        if offered is None:
            continue
        if not isinstance(offered, kind):
            raise TypeError(f"{module.__name__}.{name} is not a {kind.__name__}")
        found.append(offered)
    return tuple(found)
