"""Rows -> the reference page: what every directive means, for the operator, in Markdown. Pure.

``sections`` is the order of the page: a section for each settings class, by its title, with its directives in
alphabetical order; those that are only accepted come last. A directive that stands in several classes, because it
means something to several packages, is one entry, where it comes first.
"""

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .directive import EVENTS, MAIL, MAIN, NGINX, SERVER, Context, Kind, Origin, Repeat, Row, rows
from .lexer import MAX_WORD_BYTES
from .parser import MAX_FILES, MAX_NESTED_FILES, MAX_TOTAL_BYTES

LINE_CHARACTERS = 116  # of the generated page, which is read as text, too

NAMES = {MAIN: "main", EVENTS: "events", MAIL: "mail", SERVER: "server"}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; words of the configuration in double backquotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a list."""

    texts: tuple[str, ...]


Block: TypeAlias = "Paragraph | Items"


@dataclass(frozen=True, slots=True)
class Entry:
    """A directive as it is documented. ``doc`` is empty for one that is ignored."""

    name: str
    kind: Kind[Any]
    contexts: Context
    default: str | None
    absent: str
    repeat: Repeat
    origin: Origin
    required: bool
    doc: str

    @property
    def syntax(self) -> str:
        return f"{self.name} {self.kind.syntax};"

    @property
    def default_text(self) -> str:
        """What holds without it: a statement, or words."""
        if self.required:
            return "none; at least one is needed"
        if self.absent:
            return self.absent
        return f"{self.name} {self.default};" if self.default else "none"

    @property
    def context_text(self) -> str:
        return ", ".join(NAMES[context] for context in NAMES if context in self.contexts)

    @property
    def origin_text(self) -> str:
        """``nginx``, ``nginx, since 1.21.0``, ``gatepost``."""
        parts = [self.origin.program]
        parts += [f"since {self.origin.since}"] if self.origin.since else []
        parts += [f"until {self.origin.until}"] if self.origin.until else []
        return ", ".join(parts)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Label and text of each line that stands under the name."""
        found = [("Syntax", self.syntax), ("Default", self.default_text), ("Context", self.context_text)]
        found.append(("Origin", self.origin_text))
        if self.repeat is not Repeat.REFUSED:
            found.append(("Repeated", f"in the same block, {self.repeat.value}"))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Section:
    """Directives of one concern, in alphabetical order. ``ignored``: they are accepted only."""

    title: str
    entries: tuple[Entry, ...]

    @property
    def ignored(self) -> bool:
        return all(entry.kind.ignored for entry in self.entries)


def sections(groups: Iterable[type]) -> tuple[Section, ...]:
    """``groups`` are settings classes; each has a ``TITLE``."""
    table = [(str(vars(group)["TITLE"]), row) for group in groups for row in rows(group).values()]
    by_name: dict[str, list[Row]] = {}
    titles: dict[str, list[str]] = {}
    for title, row in table:
        if row.name not in by_name:
            titles.setdefault(title, []).append(row.name)
        by_name.setdefault(row.name, []).append(row)
    found = [
        Section(title, tuple(_entry(by_name[name]) for name in sorted(names))) for title, names in titles.items()
    ]
    return tuple(sorted(found, key=lambda section: section.ignored))


def _entry(found: Sequence[Row]) -> Entry:
    first = found[0]
    contexts = first.contexts
    for row in found[1:]:
        contexts |= row.contexts
    docs = [inspect.cleandoc(row.doc) for row in found if row.doc]
    return Entry(
        first.name,
        first.kind,
        contexts,
        first.default,
        first.absent,
        first.repeat,
        first.origin,
        first.required,
        "\n\n".join(docs),
    )


def blocks(text: str) -> Iterator[Block]:
    """The paragraphs and lists of a ``doc``, each text on one line."""
    for part in re.split(r"\n{2,}", text.strip()):
        if part.startswith("* "):
            yield Items(tuple(_joined(item) for item in re.split(r"(?:^|\n)\* ", part)[1:]))
        elif part:
            yield Paragraph(_joined(part))


def _joined(text: str) -> str:
    return " ".join(text.split())


# The language, which no row describes

LANGUAGE = f"""
A directive is a word, its values, and a semicolon; ``#`` begins a comment. Values are separated by blanks. One
with a blank, a semicolon or a brace in it stands in single or double quotes; ``\\"``, ``\\'`` and ``\\\\`` stand
for the character behind the backslash, ``\\t``, ``\\r`` and ``\\n`` for tab, carriage return and line feed. A
word has at most {MAX_WORD_BYTES} bytes.

Directives stand at the top level (context main) or in a block:

* ``events {{ }}``, at the top level, is about connections of workers.
* ``mail {{ }}``, at the top level, is about mail. What is said here holds for all servers that say nothing else.
* ``server {{ }}``, in ``mail``, is one server: addresses to listen on, and what is done there. A directive here
  replaces the same one of ``mail`` completely, also where it is a list.
* ``http {{ }}`` and ``stream {{ }}`` are skipped, with a warning each: gatepost serves mail only.

``include file;`` stands for what is in the file, anywhere. A relative name starts at the directory of the main
configuration file. ``*``, ``?`` and ``[`` make it a pattern, which may match nothing; files are read in the order
of their names. Includes nest at most {MAX_NESTED_FILES} deep, and a configuration has at most {MAX_FILES} files
and {MAX_TOTAL_BYTES // 2**20} megabytes.

An unknown directive, one in the wrong place, a value that cannot be, or a second use where only one is allowed,
is an error, named with file and line: the program does not start, and a running one goes on with its old
configuration.
"""

VALUES = """
* ``time`` is a number of seconds, or numbers with units, the largest first: ``w``, ``d``, ``h``, ``m``, ``s``,
  ``ms`` (``1h30m``, ``1500ms``). Where only whole seconds are possible, ``ms`` is no unit, and ``y`` (365 days) and
  ``M`` (30 days) are.
* ``size`` is a number of bytes, or of kilobytes with ``k``, of megabytes with ``m``.
* ``file`` is a path. A relative one starts at the directory of the main configuration file; that of a log or of the
  pid file starts at the prefix (option -p).
* ``on | off`` and other words to choose from may be written in any letter case, unless something else is said.
"""

ABOUT_IGNORED = "An nginx.conf may carry these. Each use is a warning, and nothing else."

_NOTE = '<!-- Generated from the directives themselves; do not edit: "make docs" writes it. -->'
_ABOUT = """
Every directive that gatepost knows: {ours} of its own, {theirs} of nginx, and {ignored} that are accepted only.
*Origin* says whose it is; the versions are those in which it came to nginx's mail proxy, where that is known. The
same text, for ``man``, is gatepost.conf(5).
"""


def markdown(found: Sequence[Section]) -> str:
    """The whole page."""
    entries = [entry for section in found for entry in section.entries]
    ignored = [entry for entry in entries if entry.kind.ignored]
    obeyed = [entry for entry in entries if not entry.kind.ignored]
    theirs = [entry for entry in obeyed if entry.origin.program == NGINX.program]
    counts = {"ours": len(obeyed) - len(theirs), "theirs": len(theirs), "ignored": len(ignored)}
    parts = [f"{_NOTE}\n\n# Directives\n\n{_markdown_text(_ABOUT.format(**counts))}\n"]
    parts += [f"* [{title}](#{_anchor(title)})\n" for title in ("The language", "Values")]
    for section in found:
        links = ", ".join(f"[{entry.name}](#{_anchor(entry.name)})" for entry in section.entries)
        title = f"[{section.title}](#{_anchor(section.title)})"
        parts.append(f"* {title}\n" if section.ignored else _wrapped(f"{title}: {links}", "* ", "  "))
    parts.append(f"\n## The language\n\n{_markdown_text(LANGUAGE)}\n## Values\n\n{_markdown_text(VALUES)}")
    parts += map(_markdown_section, found)
    return "".join(parts)


def _markdown_section(section: Section) -> str:
    head = f"\n## {section.title}\n\n"
    if not section.ignored:
        return head + "\n".join(map(_markdown_entry, section.entries))
    items = (
        _wrapped(f"``{entry.syntax}`` ({entry.context_text}): {entry.kind.ignored}.", "* ", "  ")
        for entry in section.entries
    )
    return f"{head}{ABOUT_IGNORED}\n\n{''.join(items)}"


def _markdown_entry(entry: Entry) -> str:
    facts = "".join(f"    {label + ':':<10}{text}\n" for label, text in entry.facts)
    return f"### {entry.name}\n\n{facts}\n{_markdown_text(entry.doc)}"


def _markdown_text(text: str) -> str:
    parts = []
    for block in blocks(text):
        if isinstance(block, Items):
            parts.append("".join(_wrapped(item, "* ", "  ") for item in block.texts))
        else:
            parts.append(_wrapped(block.text))
    return "\n".join(parts)


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    """``text`` with a line break at the end, code spans as Markdown has them: no backquote is in any of ours."""
    filled = textwrap.fill(
        text.replace("``", "`"),
        LINE_CHARACTERS,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{filled}\n"


def _anchor(heading: str) -> str:
    """What the usual renderers of Markdown call a heading."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")
