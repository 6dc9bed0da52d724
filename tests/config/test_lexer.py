"""Words and marks, as nginx reads them."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.lexer import MAX_WORD_BYTES, Lexer, Mark, decode
from gatepost.errors import ConfigError, Where


def _lexer(text: str) -> Lexer:
    return Lexer(text, partial(Where, "f"))


def _tokens(text: str) -> list[str | Mark]:
    lexer = _lexer(text)
    found: list[str | Mark] = []
    while True:
        token = lexer.next()
        if token is Mark.END:
            return found
        found.append(token)
        if token is Mark.CUT:
            return found


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t\r\n", []),
        ("a b;", ["a", "b", Mark.SEMICOLON]),
        ("a{b}", ["a", Mark.OPEN, "b}"]),
        ("a { b; }", ["a", Mark.OPEN, "b", Mark.SEMICOLON, Mark.CLOSE]),
        ("a # c ; { \" '\nb;", ["a", "b", Mark.SEMICOLON]),
        ("a#b;", ["a#b", Mark.SEMICOLON]),
        ('""', [""]),
        ("'' ;", ["", Mark.SEMICOLON]),
        ("\"a b\" 'c;d{e}#'", ["a b", "c;d{e}#"]),
        ('"it\'s" \'say "no"\'', ["it's", 'say "no"']),
        ('a"b"c don\'t', ['a"b"c', "don't"]),
        (r'"a\"b" \"c\" \\ \' ', ['a"b', '"c"', "\\", "'"]),
        (r"\t\r\n \a \d+ a\;b a\ b", ["\t\r\n", r"\a", r"\d+", r"a\;b", r"a\ b"]),
        (r"'\t\q\''", ["\t\\q'"]),
        ("${b} a${{c $a{", ["${b}", "a${{c", "$a", Mark.OPEN]),
        ("\\${", ["\\$", Mark.OPEN]),
        ("a=b{c", ["a=b", Mark.OPEN, "c"]),
        ('"a")b', ["a", ")b"]),
        ("'a'{'b';", ["a", Mark.OPEN, "b", Mark.SEMICOLON]),
        ("'a\nb'", ["a\nb"]),
        ('"a', [Mark.CUT]),
        ("a 'b\\'", ["a", Mark.CUT]),
        ("a\\", ["a", Mark.CUT]),
        ("\\", [Mark.CUT]),
        ("a#b\n#c", ["a#b"]),
    ],
)
def test_tokens(text: str, tokens: list[str | Mark]) -> None:
    assert _tokens(text) == tokens


@pytest.mark.parametrize("follower", ["x", "}", '"', "'", "#", "("])
def test_text_right_after_a_quote_is_refused(follower: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _tokens(f'\n"a"{follower}')
    assert str(caught.value) == f'unexpected "{follower}" in f:2'


def test_a_word_counts_as_it_is_written() -> None:
    fits = "é" * (MAX_WORD_BYTES // 2)
    assert _tokens(fits) == [fits]
    quoted = "'" + "a" * (MAX_WORD_BYTES - 2) + "'"
    assert _tokens(quoted) == ["a" * (MAX_WORD_BYTES - 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n" + "b" * (MAX_WORD_BYTES + 1), 'too long parameter "bbbbbbbbbb..." started in f:2'),
        ("é" * (MAX_WORD_BYTES // 2) + "\n'\n" + "x" * MAX_WORD_BYTES + "'", 'terminating "\'" character in f:2'),
        ('a "' + "\n" * MAX_WORD_BYTES, 'too long parameter, probably missing terminating """ character in f:1'),
    ],
)
def test_overlong_words_name_the_line_where_they_start(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _tokens(text)
    assert str(caught.value).endswith(message)


def test_lines_are_counted_to_the_mark_that_was_read() -> None:
    lexer = _lexer("a\n# b\nc 'd\ne'\n;\n")
    lines = []
    while lexer.next() is not Mark.END:
        lines.append(lexer.where.line)
    assert lines == [1, 3, 4, 5]
    assert lexer.where == Where("f", 6)


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "a; b { c; { } }",
        "'}' \"}\" # }\n",
        "${a} ${b;",
        '"~^a{2}$" "\\"}" \'{\'',
        "return 200 'x'y\"z\";",
        "'" + "x" * 3 * MAX_WORD_BYTES + "'",
        "don't; a}b;",
        "a\\} \\{ \\;",
        "\x00\udcff",
    ],
)
def test_a_foreign_block_hides_its_content(inside: str) -> None:
    lexer = _lexer(inside + " } after")
    assert lexer.skip_block()
    assert lexer.next() == "after"


@pytest.mark.parametrize(
    "lua",
    [
        "for i = 1, #list do t = {",
        "-- a } b\n{",
        "--[[ it's } \n } ]] {",
        "--[==[ ]] } ]=] } ]==] {",
        "s = [[ it's } ]] {",
        'ngx.say(\'}\') ngx.say("a\\"}") {',
        "a = b - c {",
        "t[i] = {",
    ],
)
def test_lua_hides_braces_in_its_own_way(lua: str) -> None:
    text = f"x; location / {{ set_by_lua_block $x {{ {lua} }} }} }} log_by_lua_block {{ n = #a }} # }}\n }} after"
    lexer = _lexer(text)
    assert lexer.skip_block()
    assert lexer.next() == "after"


@pytest.mark.parametrize("lua", ["", "{ }", "--[[ }", "[=[ } ]]", "-- }"])
def test_lua_that_does_not_end(lua: str) -> None:
    assert not _lexer(f"a_by_lua_block {{ {lua}").skip_block()


@pytest.mark.parametrize("inside", ["", "a {", "'}", "# }", "\\", "a\\"])
def test_a_foreign_block_that_does_not_end(inside: str) -> None:
    assert not _lexer(inside).skip_block()


@given(st.binary())
def test_any_byte_survives(data: bytes) -> None:
    assert decode(data).encode("utf-8", "surrogateescape") == data


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=8))
def test_quoted_words_come_back(words: list[str]) -> None:
    text = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    assert _tokens(text) == words
