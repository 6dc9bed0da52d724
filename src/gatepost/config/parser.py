"""Files -> statements, one at a time: blocks, ``include``, the end of files.

The builder pulls statements one by one instead of getting a whole tree, because the first mistake in a file is
the one to report, be it of syntax or of meaning.
"""

import errno
import glob
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gatepost.errors import ConfigError, Where

from .lexer import Lexer, Mark, decode

MAX_NESTED_FILES = 64  # includes within includes; a loop is found before that
MAX_FILES = 10_000  # read for one configuration, repeated includes counted each time
MAX_TOTAL_BYTES = 64 * 1024 * 1024  # of all files; what is larger is no configuration


class _CommandLine(Where):
    """Where the directives of the option ``-g`` stand."""

    __slots__ = ()

    def __str__(self) -> str:
        return "command line"


COMMAND_LINE: Where = _CommandLine("command line", 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """A directive with its words, or the opening of a block. ``where``: the line of its ``;`` or ``{``."""

    name: str
    words: tuple[str, ...]
    where: Where
    opens: bool


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """The ``}`` of the block opened last."""

    where: Where


@dataclass(slots=True)
class _Source:
    lexer: Lexer
    identity: tuple[int, int] | None  # device and inode; None on the command line
    depth: int = 0  # blocks opened in this text and not closed yet


@dataclass(slots=True)
class _Waiting:
    """Files that one include names, still to be read; the next one is the last."""

    paths: list[str]
    where: Where | None


class Parser:
    """Reads statements. Texts added are read last in, first out; an included file before what follows it.

    ``directory`` is that of the main configuration file. ``files`` maps the path of every file read so far
    to its text, in the order of reading.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.files: dict[str, str] = {}
        self._stack: list[_Source | _Waiting] = []
        self._count = 0
        self._bytes = 0

    def add_file(self, path: str) -> None:
        """Read ``path`` next."""
        self._stack.append(_Waiting([path], None))

    def add_directives(self, text: str) -> None:
        """Read the directives of the option ``-g`` next. Raises ConfigError."""
        self._add(text, _command_line, None)

    def _open(self, path: str, where: Where | None) -> None:
        """``where`` is the include that names ``path``; None for the main file."""
        if self._count >= MAX_FILES:
            raise ConfigError(f"more than {MAX_FILES} files", where)
        self._count += 1
        data, identity = self._read(path, where)
        above = [entry.identity for entry in self._stack if isinstance(entry, _Source)]
        if identity in above:
            raise ConfigError(f'"{path}" includes itself', where)
        if len(above) > MAX_NESTED_FILES:
            raise ConfigError(f"more than {MAX_NESTED_FILES} nested includes", where)
        text = decode(data)
        self.files[path] = text
        self._add(text, partial(Where, path), identity)

    def _add(self, text: str, place: Callable[[int], Where], identity: tuple[int, int] | None) -> None:
        at = text.find("\0")
        if at >= 0:
            raise ConfigError("unexpected NUL character", place(1 + text.count("\n", 0, at)))
        self._stack.append(_Source(Lexer(text, place), identity))

    def _read(self, path: str, where: Where | None) -> tuple[bytes, tuple[int, int]]:
        left = MAX_TOTAL_BYTES - self._bytes
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                data = file.read(left + 1)
        except OSError as error:
            call = "read()" if error.errno == errno.EISDIR else "open()"
            raise ConfigError(f'{call} "{path}" failed ({error.errno}: {error.strerror})', where) from error
        if len(data) > left:
            raise ConfigError(f"the configuration is larger than {MAX_TOTAL_BYTES} bytes", where)
        self._bytes += len(data)
        return data, (status.st_dev, status.st_ino)

    def next(self) -> Statement | BlockEnd | None:
        """The next statement or end of a block; None when everything added has been read. Raises ConfigError."""
        while self._stack:
            top = self._stack[-1]
            if isinstance(top, _Waiting):
                if top.paths:
                    self._open(top.paths.pop(), top.where)
                else:
                    self._stack.pop()
                continue
            found = self._statement(top)
            if found is None:
                self._stack.pop()
            elif isinstance(found, Statement) and found.name == "include":
                self._include(found)
            else:
                return found
        return None

    def _statement(self, source: _Source) -> Statement | BlockEnd | None:
        lexer = source.lexer
        words: list[str] = []
        while True:
            token = lexer.next()
            if isinstance(token, str):
                words.append(token)
            elif token is Mark.END or token is Mark.CUT:
                if words or token is Mark.CUT:
                    raise ConfigError(_unfinished(source), lexer.where)
                if source.depth:
                    raise _unclosed(lexer)
                return None
            elif token is Mark.CLOSE:
                if words or not source.depth:
                    raise ConfigError('unexpected "}"', lexer.where)
                source.depth -= 1
                return BlockEnd(lexer.where)
            elif not words:
                raise ConfigError(f'unexpected "{token.value}"', lexer.where)
            else:
                opens = token is Mark.OPEN
                source.depth += opens
                return Statement(words[0], tuple(words[1:]), lexer.where, opens)

    def skip_block(self) -> None:
        """Pass over the block that the last statement opened, whatever is in it. Raises ConfigError."""
        source = self._stack[-1]
        assert isinstance(source, _Source)
        if not source.lexer.skip_block():
            raise _unclosed(source.lexer)
        source.depth -= 1

    def _include(self, statement: Statement) -> None:
        where = statement.where
        if statement.opens:
            raise ConfigError('directive "include" is not terminated by ";"', where)
        if len(statement.words) != 1:
            raise ConfigError('invalid number of arguments in "include" directive', where)
        path = os.path.join(self.directory, statement.words[0])
        is_glob = any(sign in path for sign in "*?[")
        paths = sorted(glob.glob(path), key=os.fsencode, reverse=True) if is_glob else [path]
        self._stack.append(_Waiting(paths, where))


def _command_line(_line: int) -> Where:
    return COMMAND_LINE


def _unfinished(source: _Source) -> str:
    if source.identity is None:
        return 'unexpected end of parameter, expecting ";"'
    return 'unexpected end of file, expecting ";" or "}"'


def _unclosed(lexer: Lexer) -> ConfigError:
    return ConfigError('unexpected end of file, expecting "}"', lexer.where)
