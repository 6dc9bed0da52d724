"""gatepost.conf(5): rows in the macros of man(7), and text that comes out as it went in."""

import pytest

from gatepost.config.manpage import conf_page, definitions, escape, example, paragraphs, prose, title

from .test_reference import FOUND


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (".so /etc/passwd", "\\&.so /etc/passwd"),
        ("'quoted'", "\\(aqquoted\\(aq"),
        ("-c", "\\-c"),
        ("a\\b", "a\\eb"),
        ("~^`", "\\(ti\\(ha\\(ga"),
    ],
)
def test_text_as_it_is(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_running_text_and_words_of_the_configuration() -> None:
    assert prose("use ``-s reload``, a well-known word") == "use \\fB\\-s reload\\fR, a well-known word\n"
    assert prose("``.hidden`` file") == "\\fB.hidden\\fR file\n"


def test_no_line_is_taken_for_a_macro() -> None:
    text = "word " * 15 + ".TH and 'nf"
    assert text.split() == prose(text).replace("\\&", "").split()
    assert not any(line.startswith((".", "'")) for line in prose(f"{text} {text}").splitlines())


def test_a_code_span_that_is_not_closed_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="not closed"):
        prose("a ``b")


def test_paragraphs_items_terms_and_examples() -> None:
    assert paragraphs("one\n\n* ``a``\n* b") == ".PP\none\n.IP \\(bu 2\n\\fBa\\fR\n.IP \\(bu 2\nb\n"
    assert definitions([("-x", "what")]) == ".TP\n.B \\-x\nwhat\n"
    assert example("a\n\n.b\n") == ".PP\n.nf\n.RS 4\na\n.sp\n\\&.b\n.RE\n.fi\n"
    assert title("X", 5, "gatepost 1", "a-b").endswith('"gatepost 1"\n.SH NAME\nx \\- a\\-b\n')


def test_the_page() -> None:
    page = conf_page(FOUND, "gatepost 1")
    entry = (
        "\\fBzeal\\fR number;\n.RS 4\nDefault: zeal 3;\n.br\nContext: main, events\n"
        ".br\nOrigin: nginx, since 1.2.3\n"
        ".PP\nHow much of it. See \\fBlog\\fR.\n.IP \\(bu 2\n\\fB0\\fR: none at all.\n"
    )
    assert entry in page
    assert ".SS Not obeyed\n" in page
    assert ".TP\n.B use method;\n(events) there is one.\n" in page
    assert ".SS Second\n\\fBold\\fR on | off;\n" in page
    assert page.isascii()
