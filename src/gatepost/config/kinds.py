"""Kinds of values: the words of a directive -> a typed value, with units.

A parser here raises ConfigError without a place; the builder adds the line. Where the message names the
directive, it takes the name from the scene. Words are text decoded with ``surrogateescape``; kinds for what
goes over the wire give bytes.
"""

import os
import re
from collections.abc import Sequence
from typing import TypeVar

from gatepost.errors import ConfigError

from .directive import Kind, Scene

T = TypeVar("T")

MAX_INTEGER = 2**63 - 1  # numbers and sizes fit a signed 64-bit integer, as in nginx

_DIGITS = re.compile(r"[0-9]+")
_SIZE = re.compile(r"([0-9]+)([kKmM]?)")
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}

_SECONDS_OF = {"y": 365 * 86400, "M": 30 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}


def _time_pattern(units: Sequence[str]) -> "re.Pattern[str]":
    """Pairs of number and unit, each unit at most once, largest first; the last may go without a unit."""
    return re.compile("".join(rf"(?:([0-9]+){unit} *)?" for unit in (*units, "")))


_COARSE_UNITS = ("y", "M", "w", "d", "h", "m", "s")
_FINE_UNITS = ("w", "d", "h", "m(?!s)", "s", "ms")
_COARSE = _time_pattern(_COARSE_UNITS)
_FINE = _time_pattern(_FINE_UNITS)
_COARSE_FACTORS = tuple(_SECONDS_OF[unit] * 1000 for unit in (*_COARSE_UNITS, ""))
_FINE_FACTORS = (*(_SECONDS_OF[unit] * 1000 for unit in ("w", "d", "h", "m", "s")), 1, 1000)


def milliseconds(word: str, *, coarse: bool = False) -> int | None:
    """The time that ``word`` gives (``1h30m``, ``90``, ``1500ms``), or None if it gives none.

    ``coarse``: no ``ms``, but also ``y`` (365 days) and ``M`` (30 days).
    """
    match = (_COARSE if coarse else _FINE).fullmatch(word)
    if match is None or not word:
        return None
    factors = _COARSE_FACTORS if coarse else _FINE_FACTORS
    total = sum(int(digits) * factor for digits, factor in zip(match.groups(), factors, strict=True) if digits)
    return total if total <= MAX_INTEGER else None


def size_bytes(word: str) -> int | None:
    """The size that ``word`` gives (``4096``, ``4k``, ``1M``), or None if it gives none."""
    match = _SIZE.fullmatch(word)
    if match is None:
        return None
    size = int(match[1]) * _SIZE_UNITS[match[2].lower()]
    return size if size <= MAX_INTEGER else None


def number(word: str) -> int | None:
    """The decimal number that ``word`` gives, or None if it gives none."""
    if _DIGITS.fullmatch(word) is None:
        return None
    value = int(word)
    return value if value <= MAX_INTEGER else None


def to_bytes(word: str) -> bytes:
    """The bytes of a word as they stood in the file."""
    return word.encode("utf-8", "surrogateescape")


def _invalid(scene: Scene) -> ConfigError:
    return ConfigError(f'"{scene.name}" directive invalid value')


def _time(words: Sequence[str], scene: Scene) -> float:
    found = milliseconds(words[0])
    if found is None:
        raise _invalid(scene)
    return found / 1000


def _seconds(words: Sequence[str], scene: Scene) -> int:
    found = milliseconds(words[0], coarse=True)
    if found is None:
        raise _invalid(scene)
    return found // 1000


def _size(words: Sequence[str], scene: Scene) -> int:
    found = size_bytes(words[0])
    if found is None:
        raise _invalid(scene)
    return found


def _number(words: Sequence[str], scene: Scene) -> int:
    found = number(words[0])
    if found is None:
        raise ConfigError(f'"{scene.name}" directive invalid number')
    return found


def _flag(words: Sequence[str], scene: Scene) -> bool:
    word = words[0].lower()
    if word not in ("on", "off"):
        raise ConfigError(f'invalid value "{words[0]}" in "{scene.name}" directive, it must be "on" or "off"')
    return word == "on"


def _string(words: Sequence[str], _scene: Scene) -> str:
    return words[0]


def _bytes(words: Sequence[str], _scene: Scene) -> bytes:
    return to_bytes(words[0])


def _strings(words: Sequence[str], _scene: Scene) -> tuple[bytes, ...]:
    return tuple(to_bytes(word) for word in words)


def _pairs(words: Sequence[str], _scene: Scene) -> tuple[tuple[bytes, bytes], ...]:
    return ((to_bytes(words[0]), to_bytes(words[1])),) if words else ()


def _path_conf(words: Sequence[str], scene: Scene) -> str:
    return os.path.join(scene.directory, words[0])


def _path_prefix(words: Sequence[str], scene: Scene) -> str:
    return os.path.join(scene.prefix, words[0])


_NOT_FILES = ("data:", "engine:", "store:")


def _data_files(words: Sequence[str], scene: Scene) -> tuple[str, ...]:
    return tuple(word if word.startswith(_NOT_FILES) else os.path.join(scene.directory, word) for word in words)


TIME = Kind("time", (1, 1), _time)  # seconds, millisecond resolution
SECONDS = Kind("time", (1, 1), _seconds)  # whole seconds
SIZE = Kind("size", (1, 1), _size)  # bytes
NUMBER = Kind("number", (1, 1), _number)
FLAG = Kind("on | off", (1, 1), _flag)
STRING = Kind("string", (1, 1), _string)
BYTES = Kind("string", (1, 1), _bytes)
STRINGS = Kind("string ...", (1, None), _strings)
PAIRS = Kind("name value", (2, 2), _pairs)
PATH_CONF = Kind("file", (1, 1), _path_conf)  # relative to the directory of the main configuration file
PATH_PREFIX = Kind("file", (1, 1), _path_prefix)  # relative to the prefix
DATA_FILES = Kind("file", (1, 1), _data_files)  # or "data:...", "engine:...", "store:...", kept as they are


def words(*allowed: str) -> Kind[tuple[str, ...]]:
    """A set of the ``allowed`` words, in any letter case; the value has them as listed, in that order.

    A word given twice is a warning.
    """
    canonical = {word.lower(): word for word in allowed}

    def ordered(chosen: set[str]) -> tuple[str, ...]:
        return tuple(word for word in allowed if word in chosen)

    def parse(given: Sequence[str], scene: Scene) -> tuple[str, ...]:
        chosen: set[str] = set()
        for word in given:
            known = canonical.get(word.lower())
            if known is None:
                raise ConfigError(f'invalid value "{word}"')
            if known in chosen:
                scene.warn(f'duplicate value "{word}"')
            chosen.add(known)
        return ordered(chosen)

    def combine(first: tuple[str, ...], second: tuple[str, ...], scene: Scene) -> tuple[str, ...]:
        for word in second:
            if word in first:
                scene.warn(f'duplicate value "{word}"')
        return ordered({*first, *second})

    return Kind(" | ".join(allowed) + " ...", (1, None), parse, combine)


def enum(*allowed: str) -> Kind[str]:
    """One of the ``allowed`` words, in any letter case; the value has it as listed."""
    canonical = {word.lower(): word for word in allowed}

    def parse(given: Sequence[str], _scene: Scene) -> str:
        known = canonical.get(given[0].lower())
        if known is None:
            raise ConfigError(f'invalid value "{given[0]}"')
        return known

    return Kind(" | ".join(allowed), (1, 1), parse)


def ignored(syntax: str, arity: tuple[int, int | None], reason: str) -> Kind[None]:
    """A directive of nginx that is accepted, warned about and not obeyed. ``reason`` is for the operator."""

    def parse(_given: Sequence[str], scene: Scene) -> None:
        scene.warn(f'the "{scene.name}" directive is ignored: {reason}')

    return Kind(syntax, arity, parse, ignored=reason)
