"""A secret that can be recognised in every form it travels in, and the search for it in live objects."""

import asyncio
import base64
import gc
import secrets as chance
import types
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote_from_bytes

# What is not walked through: code, and what leads from the daemon's objects to those of the test itself.
_BORDERS = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, asyncio.AbstractEventLoop)
_LEAST_BYTES = 12  # of a form that is searched for; shorter ones could be there by chance


@dataclass(frozen=True)
class Secret:
    """``value`` has a space and a percent sign, so that it is escaped where it is; ``user`` goes with it."""

    value: bytes
    user: bytes

    @cached_property
    def forms(self) -> tuple[bytes, ...]:
        """As it is, percent-escaped, in hexadecimal digits, and in base64 at every offset."""
        whole = [self.value, quote_from_bytes(self.value).encode(), self.value.hex().encode()]
        whole += [self.value.replace(b"%", b"%25").replace(b" ", b"%20")]
        for before in (b"", b"x", b"xx"):
            # Without what the neighbours change.
            text = base64.b64encode(before + self.value)
            whole.append(text[4 if before else 0 : len(text) - 4])
        return tuple(dict.fromkeys(form for form in whole if len(form) >= _LEAST_BYTES))

    def is_in(self, data: bytes) -> bool:
        return any(form in data for form in self.forms)


def fresh(label: str) -> Secret:
    return Secret(f"{label} %{chance.token_hex(12)}".encode(), f"user-{chance.token_hex(4)}".encode())


def ours() -> list[Any]:
    """Every object of a class of gatepost that the garbage collector knows, be it in use or not yet collected."""
    return [found for found in gc.get_objects() if str(type(found).__module__).startswith("gatepost.")]


def running() -> list[types.FrameType]:
    """Frames of gatepost's coroutines and generators that have not ended, and of its tracebacks."""
    found = []
    for item in gc.get_objects():
        frame: object = item
        if isinstance(item, types.CoroutineType):
            frame = item.cr_frame
        elif isinstance(item, types.GeneratorType):
            frame = item.gi_frame
        elif isinstance(item, types.TracebackType):
            frame = item.tb_frame
        if isinstance(frame, types.FrameType) and _is_ours(frame):
            found.append(frame)
    return found


def _is_ours(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("gatepost.")


def reachable(roots: Iterable[Any]) -> dict[int, tuple[Any, int]]:
    """Everything that ``roots`` lead to, by id, and the id of what led there; 0 for a root.

    Does not cross into code, loops or frames of others.
    """
    found: dict[int, tuple[Any, int]] = {id(root): (root, 0) for root in roots}
    todo = [item for item, _ in found.values()]
    while todo:
        item = todo.pop()
        if isinstance(item, _BORDERS) or (isinstance(item, types.FrameType) and not _is_ours(item)):
            continue
        for referent in gc.get_referents(item):
            if id(referent) not in found:
                found[id(referent)] = (referent, id(item))
                todo.append(referent)
    return found


def texts(item: Any) -> bytes:
    """The bytes of an object that holds some, else none."""
    if isinstance(item, bytes | bytearray):
        return bytes(item)
    if isinstance(item, str):
        return item.encode("utf-8", "surrogateescape")
    if isinstance(item, memoryview):
        return item.tobytes()
    return b""


def holders(secret: Secret) -> list[str]:
    """How live objects of gatepost lead to ``secret``; empty when none does."""
    found = reachable(ours() + running())
    return [_path(found, item) for item, _ in tuple(found.values()) if secret.is_in(texts(item))]


def _path(found: dict[int, tuple[Any, int]], item: Any) -> str:
    """From a root to ``item``, by types."""
    names = []
    at = id(item)
    while at:
        step, at = found[at]
        name = type(step).__name__
        names.append(f"{name} {step.f_code.co_qualname}" if isinstance(step, types.FrameType) else name)
    return " -> ".join(reversed(names))
