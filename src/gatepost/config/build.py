"""Statements and rows -> frozen settings: contexts, arity, duplicates, inheritance, checks.

Theory of operation. The builder pulls statements and fills one *level* per block: the values and the places
they were written at. Main and events share a level that is never inherited. When ``mail {}`` closes, each
server's settings are merged, field by field (server level, else mail level, else default), then the checks run
group by group and within a group server by server, so that of several mistakes the same one is reported as by
nginx. Values are parsed when they are read: the first mistake in a file wins.

``http {}`` and ``stream {}`` are passed over with one warning each.
"""

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast

from gatepost.errors import ConfigError, Where

from .directive import EVENTS, MAIL, MAIN, SERVER, Context, Repeat, Row, Scene, rows
from .lexer import Lexer
from .parser import BlockEnd, Parser, Statement

T = TypeVar("T")

# Blocks of the language: where each may stand, and the context inside.
_BLOCKS = {"events": (MAIN, EVENTS), "mail": (MAIN, MAIL), "server": (MAIL, SERVER)}
_FOREIGN = ("http", "stream")
_ONCE = ("events", "mail", *_FOREIGN)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written, and in which block."""

    where: Where
    level: Context


class Settled:
    """Settings objects by class, and where their values were written. Not changed once built."""

    __slots__ = ("_objects", "_places", "where")

    def __init__(self, where: Where, objects: Mapping[type, object], places: Mapping[str, Place]) -> None:
        self.where = where
        self._objects = dict(objects)
        self._places = dict(places)

    def __getitem__(self, cls: type[T]) -> T:
        """The settings object of that class. KeyError if the class is not part of this configuration."""
        return cast("T", self._objects[cls])

    def __contains__(self, cls: type) -> bool:
        return cls in self._objects

    def where_of(self, directive: str) -> Where | None:
        """Where the value in force was written, at the inner or outer level; the last line of several.

        None where the default is in force.
        """
        place = self._places.get(directive)
        return place.where if place else None

    def level_of(self, directive: str) -> Context | None:
        """The block in which the value in force was written (``SERVER`` or ``MAIL``); None for a default."""
        place = self._places.get(directive)
        return place.level if place else None


class Server(Settled):
    """One ``server {}``; ``where`` is the line of its opening."""

    __slots__ = ()


class Configuration(Settled):
    """A whole configuration; ``where`` is the main file.

    ``files`` holds path and text of every file read, ``warnings`` what the operator should hear, each with its
    place. ``blocks`` are the names of the blocks at the top level.
    """

    __slots__ = ("blocks", "files", "servers", "warnings")

    def __init__(
        self,
        where: Where,
        objects: Mapping[type, object],
        places: Mapping[str, Place],
        servers: Iterable[Server],
        files: Iterable[tuple[str, str]] = (),
        warnings: Iterable[str] = (),
        blocks: Iterable[str] = (),
    ) -> None:
        super().__init__(where, objects, places)
        self.blocks = frozenset(blocks)
        self.servers = tuple(servers)
        self.files = tuple(files)
        self.warnings = tuple(warnings)


@dataclass(frozen=True, slots=True)
class Installation:
    """What the configuration does not say itself: where things are.

    ``path`` is the main file. Relative names of certificates and includes start at its directory, those of logs
    and the pid file at ``prefix``. ``error_log`` is where lines go that no directive directs.
    """

    path: str
    prefix: str = "/"
    error_log: str = "stderr"

    @property
    def directory(self) -> str:
        return os.path.dirname(self.path)


def defaults(cls: type[T], **values: Any) -> T:
    """A settings object as it is when no directive is used; ``values`` replace single fields."""
    anywhere = Installation("/gatepost.conf")
    fields = {name: values.get(name, _default(row, anywhere)) for name, row in rows(cls).items()}
    return cls(**fields)


def _default(row: Row, installation: Installation) -> Any:
    """The default of a row, through its own parser."""
    if row.default is None:
        return None
    lexer = Lexer(row.default, lambda line: Where(f'default of "{row.name}"', line))
    words: list[str] = []
    while isinstance(token := lexer.next(), str):
        words.append(token)
    scene = Scene(
        row.name, None, installation.directory, installation.prefix, _ignore, error_log=installation.error_log
    )
    return row.kind.parse(words, scene)


def _ignore(_message: str) -> None:
    return None


def is_main_group(cls: type) -> bool:
    """Whether the class holds settings of the whole program rather than of each server."""
    return not any(row.contexts & (MAIL | SERVER) for row in rows(cls).values())


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where the value of a directive goes: the field of a settings class."""

    group: type
    field: str
    row: Row


@dataclass(slots=True)
class _Level:
    """What one block, or the main level, sets."""

    where: Where
    values: dict[tuple[type, str], Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)


def build(
    parser: Parser,
    groups: Sequence[type],
    installation: Installation,
    warn: Callable[[str], object] = _ignore,
) -> Configuration:
    """Read everything the parser has. Raises ConfigError at the first mistake.

    ``groups`` are settings classes in the order of their checks. ``warn`` hears each warning when it arises, with
    its place.
    """
    return _Builder(parser, groups, installation, warn).run()


class _Builder:
    def __init__(
        self,
        parser: Parser,
        groups: Sequence[type],
        installation: Installation,
        warn: Callable[[str], object],
    ) -> None:
        self.parser = parser
        self.installation = installation
        self.report = warn
        self.main_groups = [group for group in groups if is_main_group(group)]
        self.server_groups = [group for group in groups if not is_main_group(group)]
        self.table: dict[str, list[_Slot]] = {}
        self.rows = {group: rows(group) for group in groups}
        for group, fields in self.rows.items():
            for name, row in fields.items():
                self.table.setdefault(row.name, []).append(_Slot(group, name, row))
        self.default = cache(lambda row: _default(row, installation))
        self.main = _Level(Where(installation.path, 1))
        self.servers: tuple[Server, ...] = ()
        self.seen: set[str] = set()
        self.claimed: set[Hashable] = set()
        self.warnings: list[str] = []

    def run(self) -> Configuration:
        self.block(MAIN, self.main)
        return Configuration(
            self.main.where,
            {group: self.settle(group, [self.main]) for group in self.main_groups},
            self.main.places,
            self.servers,
            self.parser.files.items(),
            self.warnings,
            self.seen,
        )

    def warn(self, message: str, where: Where) -> None:
        text = f"{message} in {where}"
        self.warnings.append(text)
        self.report(text)

    # Statements

    def block(self, context: Context, level: _Level, servers: list[_Level] | None = None) -> None:
        """Read up to the end of the block; at the main level, up to the end of everything."""
        while (found := self.parser.next()) is not None:
            if isinstance(found, BlockEnd):
                return
            if found.name in _BLOCKS or found.name in _FOREIGN:
                self.open(found, context, servers)
            else:
                self.set(found, context, level)

    def open(self, statement: Statement, context: Context, servers: list[_Level] | None) -> None:
        name, where = statement.name, statement.where
        outside, inside = _BLOCKS.get(name, (MAIN, MAIN))
        if context is not outside:
            raise ConfigError(f'"{name}" directive is not allowed here', where)
        if not statement.opens:
            raise ConfigError(f'directive "{name}" has no opening "{{"', where)
        if statement.words:
            raise _wrong_count(name, where)
        if name in _ONCE:
            if name in self.seen:
                raise ConfigError(f'"{name}" directive is duplicate', where)
            self.seen.add(name)
        if name in _FOREIGN:
            self.parser.skip_block()
            self.warn(f'the "{name}" block is skipped: gatepost serves mail only', where)
        elif name == "mail":
            self.mail(_Level(where))
        elif name == "server":
            assert servers is not None
            servers.append(self.server(_Level(where)))
        else:
            self.block(inside, self.main)

    def mail(self, level: _Level) -> None:
        found: list[_Level] = []
        self.block(MAIL, level, found)
        self.servers = tuple(self.merge(server, level) for server in found)
        for group in self.server_groups:
            check = getattr(group, "check", None)
            if check is not None:
                for server in self.servers:
                    check(server[group], server)

    def server(self, level: _Level) -> _Level:
        self.block(SERVER, level)
        for name, slots in self.table.items():
            for slot in slots:
                if slot.row.required and SERVER in slot.row.contexts and name not in level.places:
                    raise ConfigError(f'no "{name}" is defined for server', level.where)
        return level

    def set(self, statement: Statement, context: Context, level: _Level) -> None:
        name, where = statement.name, statement.where
        slots = self.table.get(name)
        if slots is None:
            raise ConfigError(f'unknown directive "{name}"', where)
        slot = next((slot for slot in slots if context in slot.row.contexts), None)
        if slot is None:
            raise ConfigError(f'"{name}" directive is not allowed here', where)
        if statement.opens:
            raise ConfigError(f'directive "{name}" is not terminated by ";"', where)
        kind = slot.row.kind
        least, most = kind.arity
        if len(statement.words) < least or (most is not None and len(statement.words) > most):
            raise _wrong_count(name, where)
        key = (slot.group, slot.field)
        again = key in level.values
        if again and slot.row.repeat is Repeat.REFUSED:
            raise ConfigError(f'"{name}" directive is duplicate', where)
        scene = Scene(
            name,
            where,
            self.installation.directory,
            self.installation.prefix,
            lambda message: self.warn(message, where),
            self.installation.error_log,
            self.claimed,
        )
        try:
            value = kind.parse(statement.words, scene)
            if again and slot.row.repeat is Repeat.ADDS:
                first = level.values[key]
                value = kind.combine(first, value, scene) if kind.combine else first + value
        except ConfigError as error:
            if error.where is None:
                error.where = where
            raise
        level.values[key] = value
        level.places[name] = Place(where, context)

    # Merging

    def merge(self, server: _Level, mail: _Level) -> Server:
        objects = {group: self.settle(group, [server, mail]) for group in self.server_groups}
        return Server(server.where, objects, {**mail.places, **server.places})

    def settle(self, group: type, levels: Sequence[_Level]) -> object:
        """The settings object whose fields come from the first of ``levels`` (inner, outer) that has them."""
        fields: dict[str, Any] = {}
        for name, row in self.rows[group].items():
            found = [level.values[group, name] for level in levels if (group, name) in level.values]
            if not found:
                fields[name] = self.default(row)
            elif len(found) == 1 or row.kind.inherit is None:
                fields[name] = found[0]
            else:
                fields[name] = row.kind.inherit(found[1], found[0])
        return group(**fields)


def _wrong_count(name: str, where: Where) -> ConfigError:
    return ConfigError(f'invalid number of arguments in "{name}" directive', where)
