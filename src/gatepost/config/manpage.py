"""Rows -> the manual page gatepost.conf(5); and the macros of man(7) that both pages are written with. Pure."""

import textwrap
from collections.abc import Iterable, Sequence

from .reference import ABOUT_IGNORED, LANGUAGE, VALUES, Entry, Items, Section, blocks

DATE = "2026-11-26"  # of the last change of the pages' own words

_NOTE = '.\\" Generated from the directives themselves; do not edit: "make docs" writes it.\n'

_LINE_CHARACTERS = 76  # of the source; not counting what keeps a line from being a macro
# Else typeset as a hyphen, a quotation mark, an accent: not what could be copied into a file.
_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}

_EXAMPLE = """\
events {}

mail {
    ssl_certificate     /etc/ssl/mail.example.com.pem;
    ssl_certificate_key /etc/ssl/mail.example.com.key;
    auth_http           127.0.0.1:9000/auth;

    server {
        listen 993 ssl;
    }
    server {
        listen 0.0.0.0:143;
        starttls only;
    }
}
"""


def title(name: str, section: int, program: str, about: str) -> str:
    """The beginning of a page. ``about`` is one line; ``program`` is name and version."""
    return f'{_NOTE}.TH {name} {section} {DATE} "{program}"\n.SH NAME\n{name.lower()} \\- {escape(about)}\n'


def escape(text: str) -> str:
    """Text as it is, on a line of its own."""
    return _no_macro(_escaped(text))


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _no_macro(line: str) -> str:
    """What begins a line is not taken for a macro."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


def prose(text: str) -> str:
    """Running text on lines of their own; what is in double backquotes is set in bold."""
    parts = text.split("``")
    assert len(parts) % 2, f"a code span is not closed in {text!r}"
    shown = "".join(
        f"\\fB{_escaped(part)}\\fR" if at % 2 else part.replace("\\", "\\e") for at, part in enumerate(parts)
    )
    lines = textwrap.wrap(shown, _LINE_CHARACTERS, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{_no_macro(line)}\n" for line in lines)


def paragraphs(text: str) -> str:
    """Text of a ``doc``: each paragraph and item with its macro before it."""
    parts = []
    for block in blocks(text):
        if isinstance(block, Items):
            parts += [f".IP \\(bu 2\n{prose(item)}" for item in block.texts]
        else:
            parts.append(f".PP\n{prose(block.text)}")
    return "".join(parts)


def example(text: str) -> str:
    """Lines to be shown as they are."""
    lines = "".join(f"{escape(line)}\n" if line else ".sp\n" for line in text.splitlines())
    return f".PP\n.nf\n.RS 4\n{lines}.RE\n.fi\n"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms, in bold, and what they mean."""
    return "".join(f".TP\n.B {escape(term)}\n{prose(meaning)}" for term, meaning in pairs)


def conf_page(found: Sequence[Section], program: str) -> str:
    """gatepost.conf(5)."""
    parts = [
        title("GATEPOST.CONF", 5, program, "configuration of the mail proxy gatepost"),
        ".SH DESCRIPTION\n",
        prose("The configuration of gatepost(8) is that of nginx's mail proxy."),
        paragraphs(LANGUAGE),
        ".SS Values\n",
        paragraphs(VALUES),
        ".SH DIRECTIVES\n",
        *(_section(section) for section in found if not section.ignored),
        *(_ignored(section) for section in found if section.ignored),
        ".SH EXAMPLES\n",
        prose("IMAP with TLS from the first byte, and with STARTTLS; a service decides about logins:"),
        example(_EXAMPLE),
        ".SH SEE ALSO\n.BR gatepost (8)\n",
    ]
    return "".join(parts)


def _section(section: Section) -> str:
    return f".SS {escape(section.title)}\n" + ".PP\n".join(map(_entry, section.entries))


def _entry(entry: Entry) -> str:
    facts = ".br\n".join(prose(f"{label}: {text}") for label, text in entry.facts[1:])
    syntax = f"\\fB{_escaped(entry.name)}\\fR {_escaped(entry.kind.syntax)};\n"
    return f"{syntax}.RS 4\n{facts}{paragraphs(entry.doc)}.RE\n"


def _ignored(section: Section) -> str:
    items = ((f"{entry.syntax}", f"({entry.context_text}) {entry.kind.ignored}.") for entry in section.entries)
    return f".SS {escape(section.title)}\n{prose(ABOUT_IGNORED)}{definitions(items)}"
