"""Text of a configuration file -> words and the three marks ``;``, ``{`` and ``}``, with line numbers.

The rules are nginx's. Blanks separate words; ``#`` at the start of a word begins a comment; quotes go round
whole words; a backslash keeps the next character from meaning anything and disappears only before a quote
or a backslash, or turns ``t``, ``r`` and ``n`` into control characters; a ``{`` directly after ``$`` opens
no block.

Files are bytes, and paths in them need not be UTF-8: they are decoded with ``surrogateescape``, so that
``os.fsencode`` gives back what was written.
"""

import re
from collections.abc import Callable
from enum import Enum

from gatepost.errors import ConfigError, Where

MAX_WORD_BYTES = 4096  # as written, quotes and backslashes included; nginx's limit
SHOWN_CHARS = 10  # how much of an overlong word its error shows


class Mark(Enum):
    """What is not a word. The text may end between two words (``END``) or inside one (``CUT``)."""

    SEMICOLON = ";"
    OPEN = "{"
    CLOSE = "}"
    END = "end"
    CUT = "cut"


# The alternatives begin with different characters, so nothing is tried twice and matching stays linear. (Possessive
# quantifiers would say so, but Python 3.11 before 3.11.4 matches them wrongly.)
_BLANKS = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"(?:\\.|\$\{*|[^\\$ \t\r\n;{])+", re.DOTALL)
_QUOTED = {
    '"': re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL),
    "'": re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL),
}
_LUA_BLOCK = "_by_lua_block"  # how the names of the directives end whose blocks are Lua
# What can hide a brace in Lua, and braces; a quote that its line does not close hides nothing. A long bracket
# (group 1: its equals signs) is only begun here.
_LUA = re.compile(r"""(?:--)?\[(=*)\[|--[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}]""", re.DOTALL)
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_CONTROL = {"t": "\t", "r": "\r", "n": "\n"}
_MARKS = {";": Mark.SEMICOLON, "{": Mark.OPEN, "}": Mark.CLOSE}


def decode(data: bytes) -> str:
    """The text of a file; any byte survives."""
    return data.decode("utf-8", "surrogateescape")


def _unescaped(word: str) -> str:
    if "\\" not in word:
        return word
    return _ESCAPE.sub(lambda match: _CONTROL.get(match[1], match[1]), word)


class Lexer:
    """Reads one text from its start to its end; ``where`` is the line of what was read last.

    ``place`` turns a line number into the Where that errors show.
    """

    __slots__ = ("_at", "_counted", "_line", "_place", "text")

    def __init__(self, text: str, place: Callable[[int], Where]) -> None:
        self.text = text
        self._place = place
        self._at = 0
        self._line = 1
        self._counted = 0

    @property
    def where(self) -> Where:
        return self._where(self._at)

    def _where(self, at: int) -> Where:
        # Only ever asked for places further on, so every line is counted once.
        self._line += self.text.count("\n", self._counted, at)
        self._counted = at
        return self._place(self._line)

    def next(self) -> str | Mark:
        """The next word or mark. Raises ConfigError."""
        text = self.text
        blanks = _BLANKS.match(text, self._at)
        start = blanks.end() if blanks else self._at
        self._at = start
        if start == len(text):
            return Mark.END
        first = text[start]
        mark = _MARKS.get(first)
        if mark is not None:
            self._at = start + 1
            return mark
        if first in _QUOTED:
            return self._quoted(first, start)
        bare = _BARE.match(text, start)
        if bare is None:  # a backslash is the last character of the text
            self._at = len(text)
            return Mark.CUT
        self._check_length(start, bare.end(), "")
        self._at = bare.end()
        return _unescaped(bare[0])

    def _quoted(self, quote: str, start: int) -> str | Mark:
        match = _QUOTED[quote].match(self.text, start)
        end = match.end() if match else len(self.text)
        self._check_length(start, end, quote)
        self._at = end
        if match is None:
            return Mark.CUT
        follower = self.text[end : end + 1]
        if follower and follower not in " \t\r\n;{)":
            raise ConfigError(f'unexpected "{follower}"', self.where)
        return _unescaped(match[0][1:-1])

    def _check_length(self, start: int, end: int, quote: str) -> None:
        if (end - start) * 4 <= MAX_WORD_BYTES:  # no character takes more than four bytes
            return
        word = self.text[start:end]
        if len(word.encode("utf-8", "surrogateescape")) <= MAX_WORD_BYTES:
            return
        if quote:
            message = f'too long parameter, probably missing terminating "{quote}" character'
        else:
            message = f'too long parameter "{word[:SHOWN_CHARS]}..." started'
        raise ConfigError(message, self._where(start))

    def skip_block(self) -> bool:
        """Pass over everything up to the ``}`` of the block just opened; False if the text ends before.

        Other programs' directives stand there: only what hides a brace is looked at, nothing is refused.
        """
        text, depth, at = self.text, 1, self._at
        name: str | None = None  # the first word of the statement, once it is read
        while depth:
            blanks = _BLANKS.match(text, at)
            at = blanks.end() if blanks else at
            if at == len(text):
                self._at = at
                return False
            first = text[at]
            if first == "{" and name is not None and name.endswith(_LUA_BLOCK):
                at = _end_of_lua(text, at + 1)
                name = None
                continue
            if first == "{":
                depth += 1
            elif first == "}":
                depth -= 1
            if first in "{};":
                at += 1
                name = None
                continue
            match = _QUOTED[first].match(text, at) if first in _QUOTED else _BARE.match(text, at)
            end = match.end() if match else len(text)
            if name is None:
                name = text[at:end]
            at = end
        self._at = at
        return True


def _end_of_lua(text: str, at: int) -> int:
    """Where the Lua block that begins at ``at`` has ended; the length of the text if it does not end."""
    depth = 1
    while depth:
        match = _LUA.search(text, at)
        if match is None:
            return len(text)
        at = match.end()
        if match[1] is not None:
            closing = f"]{match[1]}]"
            end = text.find(closing, at)
            if end < 0:
                return len(text)
            at = end + len(closing)
        elif match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
    return at
