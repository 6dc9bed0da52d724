"""The reference page: an entry for each directive, from its row."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import EVENTS, MAIL, MAIN, OURS, SERVER, Repeat, directive, nginx
from gatepost.config.kinds import FLAG, NUMBER, STRING, STRINGS, ignored
from gatepost.config.reference import Items, Paragraph, blocks, markdown, sections


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    TITLE: ClassVar[str] = "The first"

    zeal: int = directive(
        NUMBER,
        MAIN | EVENTS,
        default="3",
        origin=nginx("1.2.3"),
        doc="""How much of it. See
        ``log``.

        * ``0``: none
          at all.
        * ``9``: all.""",
    )
    log: str | None = directive(STRING, MAIN, default=None, doc="Where to.", repeat=Repeat.ADDS, absent="nowhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Useless:
    TITLE: ClassVar[str] = "Not obeyed"

    use: None = directive(ignored("method", (1, 1), "there is one"), EVENTS, default=None, doc="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    TITLE: ClassVar[str] = "Second"

    log: str | None = directive(STRING, MAIL | SERVER, default=None, doc="")
    words: tuple[bytes, ...] = directive(STRINGS, SERVER, default="", doc="Some.", origin=OURS)
    old: bool = directive(FLAG, SERVER, default="off", doc="No.", origin=nginx(until="1.25.1"), required=True)


FOUND = sections([First, Useless, Second])
ENTRIES = {entry.name: entry for section in FOUND for entry in section.entries}


def test_sections_are_in_order_and_those_that_are_ignored_last() -> None:
    assert [(section.title, [entry.name for entry in section.entries]) for section in FOUND] == [
        ("The first", ["log", "zeal"]),
        ("Second", ["old", "words"]),
        ("Not obeyed", ["use"]),
    ]
    assert [section.ignored for section in FOUND] == [False, False, True]


def test_a_directive_of_several_classes_is_one_entry() -> None:
    log = ENTRIES["log"]
    assert log.context_text == "main, mail, server"
    assert log.doc == "Where to."
    assert log.default_text == "nowhere"
    assert ("Repeated", "in the same block, adds to the first") in log.facts


def test_what_stands_under_a_name() -> None:
    assert ENTRIES["zeal"].facts == (
        ("Syntax", "zeal number;"),
        ("Default", "zeal 3;"),
        ("Context", "main, events"),
        ("Origin", "nginx, since 1.2.3"),
    )
    assert ENTRIES["words"].default_text == "none"
    assert ENTRIES["words"].origin_text == "gatepost"
    assert ENTRIES["old"].default_text == "none; at least one is needed"
    assert ENTRIES["old"].origin_text == "nginx, until 1.25.1"


def test_texts_are_paragraphs_and_lists() -> None:
    assert list(blocks(ENTRIES["zeal"].doc)) == [
        Paragraph("How much of it. See ``log``."),
        Items(("``0``: none at all.", "``9``: all.")),
    ]
    assert list(blocks("")) == []


def test_the_page() -> None:
    page = markdown(FOUND)
    assert page.startswith("<!-- Generated")
    assert "1 of its own, 3 of nginx, and 1 that are accepted only" in page
    assert "* [The first](#the-first): [log](#log), [zeal](#zeal)\n" in page
    assert "* [Not obeyed](#not-obeyed)\n" in page
    entry = (
        "### zeal\n\n    Syntax:   zeal number;\n    Default:  zeal 3;\n    Context:  main, events\n"
        "    Origin:   nginx, since 1.2.3\n\nHow much of it. See `log`.\n\n* `0`: none at all.\n* `9`: all.\n"
    )
    assert entry in page
    assert page.endswith("* `use method;` (events): there is one.\n")
    assert "``" not in page
    assert "\n\n\n" not in page
    assert max(map(len, page.splitlines())) <= 116


def test_links_of_the_index_lead_somewhere() -> None:
    page = markdown(FOUND)
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")}
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert links <= headings
    assert len(links) == 9
