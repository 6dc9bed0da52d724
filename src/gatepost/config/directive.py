"""A directive is a typed field of a settings class; the fields are the table.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class SessionSettings:
        timeout: float = directive(TIME, MAIL | SERVER, default="60s", doc="...")

Parsing, arity, duplicates, inheritance, the reference page and the man page all read the row that stands behind
the field. The default is written as an operator would write it and goes through the same parser, so the documented
one is the one in force.

``doc`` is for the operator: paragraphs, separated by blank lines; lists, whose items begin with ``* `` and a word
in double backquotes; words of the configuration in double backquotes. A settings class has a ``TITLE``, the heading
under which its directives are documented.
"""

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import Any, Generic, TypeVar, cast, overload

from gatepost.errors import Where

T = TypeVar("T")


class Context(Flag):
    """The blocks in which a directive may stand."""

    MAIN = auto()
    EVENTS = auto()
    MAIL = auto()
    SERVER = auto()


MAIN, EVENTS, MAIL, SERVER = Context.MAIN, Context.EVENTS, Context.MAIL, Context.SERVER


class Repeat(Enum):
    """What a second use on the same level does."""

    REFUSED = "is an error"
    ADDS = "adds to the first"
    LAST_WINS = "replaces the first"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose a directive is. Versions are given where they are known; those of nginx are of its mail proxy.

    ``until`` is the first version that does not have it any more.
    """

    program: str
    since: str = ""
    until: str = ""


NGINX = Origin("nginx")
OURS = Origin("gatepost")


def nginx(since: str = "", *, until: str = "") -> Origin:
    """A directive that nginx has had since a certain version."""
    return Origin(NGINX.program, since, until)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a parser of values may know besides the words: where they stand and how to warn."""

    name: str  # the directive
    where: Where | None  # None while a default is parsed
    directory: str  # of the main configuration file; relative names of certificates and includes
    prefix: str  # of the installation; relative names of logs and the pid file
    warn: Callable[[str], object]
    error_log: str = "stderr"  # where lines go that no error_log directive directs
    claimed: set[Hashable] = field(default_factory=set)

    def claim(self, key: Hashable) -> bool:
        """Whether ``key`` is taken for the first time in the whole configuration; then it is taken."""
        fresh = key not in self.claimed
        self.claimed.add(key)
        return fresh


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value: its name in the reference, how many words it takes, and their parser.

    ``parse`` gets the words of one use and raises ConfigError without a place; the builder adds it.
    ``arity`` is (least, most); most None means any number.
    ``combine`` joins the values of two uses where the directive ``Repeat.ADDS``; without it they are added.
    ``inherit`` makes the value of a server from those of the outer and the inner level where both have one;
    without it the inner one replaces the outer one.
    ``ignored`` is not empty where the value has no effect: the reason, for the operator.
    """

    syntax: str
    arity: tuple[int, int | None]
    parse: Callable[[Sequence[str], Scene], T]
    combine: Callable[[T, T, Scene], T] | None = None
    inherit: Callable[[T, T], T] | None = None
    ignored: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One directive, as every reader of the table sees it."""

    name: str
    kind: Kind[Any]
    contexts: Context
    default: str | None
    repeat: Repeat
    doc: str
    origin: Origin
    required: bool  # a block where it could stand is refused without it
    absent: str  # what holds without the directive, in words, where ``default`` does not show it


@overload
def directive(
    kind: Kind[T],
    contexts: Context,
    *,
    default: str,
    doc: str,
    repeat: Repeat = ...,
    name: str = ...,
    origin: Origin = ...,
    required: bool = ...,
    absent: str = ...,
) -> T: ...
@overload
def directive(
    kind: Kind[T],
    contexts: Context,
    *,
    default: None,
    doc: str,
    repeat: Repeat = ...,
    name: str = ...,
    origin: Origin = ...,
    required: bool = ...,
    absent: str = ...,
) -> T | None: ...
def directive(
    kind: Kind[T],
    contexts: Context,
    *,
    default: str | None,
    doc: str,
    repeat: Repeat = Repeat.REFUSED,
    name: str = "",
    origin: Origin = NGINX,
    required: bool = False,
    absent: str = "",
) -> T | None:
    """A settings field that a directive fills. ``name`` is given where the field is called otherwise.

    With ``default=None`` the field is None when the directive is not used; with ``""`` the kind parses
    no words at all (an empty list). ``absent`` says in words what holds without the directive, where the default
    does not show it.
    """
    row = Row(name, kind, contexts, default, repeat, doc, origin, required, absent)
    return cast("T", dataclasses.field(metadata={"row": row}))


def rows(settings: type) -> dict[str, Row]:
    """Field name -> row, in the order of the class. Fields without a directive are left out."""
    table: dict[str, Row] = {}
    for item in dataclasses.fields(settings):
        row = item.metadata.get("row")
        if row is not None:
            table[item.name] = row if row.name else dataclasses.replace(row, name=item.name)
    return table
