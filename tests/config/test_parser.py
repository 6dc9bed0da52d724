"""Statements, blocks, includes, and the ends of files."""

from pathlib import Path

import pytest

from gatepost.config import parser as module
from gatepost.config.parser import BlockEnd, Parser, Statement
from gatepost.errors import ConfigError


def _read(parser: Parser) -> list[str]:
    """Statements as ``line:name words;``, blocks as ``line:name words{`` and ``line:}``."""
    found = []
    while (item := parser.next()) is not None:
        if isinstance(item, BlockEnd):
            found.append(f"{item.where.line}:}}")
        else:
            found.append(f"{item.where.line}:{' '.join((item.name, *item.words))}{'{' if item.opens else ';'}")
    return found


def _parser(tmp_path: Path, text: str, **others: str) -> Parser:
    for name, content in {"main": text, **others}.items():
        (tmp_path / f"{name}.conf").write_text(content)
    parser = Parser(str(tmp_path))
    parser.add_file(str(tmp_path / "main.conf"))
    return parser


def test_statements_carry_the_line_where_they_end(tmp_path: Path) -> None:
    text = "a b\n  'c'\n;\nd\n{ e;\n}\nf {}"
    assert _read(_parser(tmp_path, text)) == ["3:a b c;", "5:d{", "5:e;", "6:}", "7:f{", "7:}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;\n}", 'unexpected "}" in PATH:2'),
        ("a {\n b }", 'unexpected "}" in PATH:2'),
        (";", 'unexpected ";" in PATH:1'),
        ("\n{", 'unexpected "{" in PATH:2'),
        ("a {\n\n", 'unexpected end of file, expecting "}" in PATH:3'),
        ("a { b {\n }", 'unexpected end of file, expecting "}" in PATH:2'),
        ("a b\n", 'unexpected end of file, expecting ";" or "}" in PATH:2'),
        ("a { b", 'unexpected end of file, expecting ";" or "}" in PATH:1'),
        ("a { 'b", 'unexpected end of file, expecting ";" or "}" in PATH:1'),
        ("'a", 'unexpected end of file, expecting ";" or "}" in PATH:1'),
        ("a b\\", 'unexpected end of file, expecting ";" or "}" in PATH:1'),
        ('a "b"c;', 'unexpected "c" in PATH:1'),
        ("include;", 'invalid number of arguments in "include" directive in PATH:1'),
        ("include a b;", 'invalid number of arguments in "include" directive in PATH:1'),
        ("include a {", 'directive "include" is not terminated by ";" in PATH:1'),
        ("\ninclude no.conf;", 'open() "DIR/no.conf" failed (2: No such file or directory) in PATH:2'),
        ("include .;", 'read() "DIR/." failed (21: Is a directory) in PATH:1'),
        ("a;\ninclude main.conf;", '"DIR/main.conf" includes itself in PATH:2'),
        ("a;\n\0", "unexpected NUL character in PATH:2"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(_parser(tmp_path, text))
    expected = message.replace("PATH", f"{tmp_path}/main.conf").replace("DIR", str(tmp_path))
    assert str(caught.value) == expected


def test_the_main_file_may_be_missing(tmp_path: Path) -> None:
    parser = Parser("/")
    parser.add_file(str(tmp_path / "none"))
    with pytest.raises(ConfigError) as caught:
        parser.next()
    assert str(caught.value) == f'open() "{tmp_path}/none" failed (2: No such file or directory)'


def test_what_is_right_before_a_mistake_is_read_first(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "a;\n}")
    first = parser.next()
    assert isinstance(first, Statement)
    assert first.name == "a"


def test_an_include_is_read_in_its_place_in_any_block(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "a { include one.conf; b; }\ninclude one.conf;", one="x;\ny { z; }")
    assert _read(parser) == [
        *["1:a{", "1:x;", "2:y{", "2:z;", "2:}", "1:b;", "1:}"],
        *["1:x;", "2:y{", "2:z;", "2:}"],
    ]
    assert [Path(path).name for path in parser.files] == ["main.conf", "one.conf"]
    assert parser.files[f"{tmp_path}/one.conf"] == "x;\ny { z; }"


def test_a_glob_reads_in_order_and_may_match_nothing(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "include site-*.conf; include no*.conf; include [q]?.conf; end;", q1="q1;")
    for name in ("b", "a", "c"):
        (tmp_path / f"site-{name}.conf").write_text(f"{name};")
    assert _read(parser) == ["1:a;", "1:b;", "1:c;", "1:q1;", "1:end;"]


def test_a_mistake_in_the_first_match_comes_before_a_missing_second(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "include site-*.conf;")
    (tmp_path / "site-a.conf").write_text("}")
    (tmp_path / "site-b.conf").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r'unexpected "}" in .*site-a\.conf:1'):
        _read(parser)


def test_an_included_file_ends_what_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'expecting "}" in .*one\.conf:1'):
        _read(_parser(tmp_path, "include one.conf; }", one="a {"))
    with pytest.raises(ConfigError, match=r'unexpected "}" in .*one\.conf:1'):
        _read(_parser(tmp_path, "a { include one.conf;", one="}"))


def test_a_loop_is_found_through_other_names(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "include one.conf;", one="include two.conf;")
    (tmp_path / "two.conf").symlink_to(tmp_path / "one.conf")
    with pytest.raises(ConfigError, match=r'two\.conf" includes itself in .*one\.conf:1'):
        _read(parser)


def test_the_same_file_twice_is_no_loop(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "include one.conf; include *e.conf;", one="include two.conf;", two="a;")
    assert _read(parser) == ["1:a;", "1:a;"]


def test_nesting_has_a_limit(tmp_path: Path) -> None:
    for depth in range(module.MAX_NESTED_FILES + 2):
        (tmp_path / f"{depth}.conf").write_text(f"include {depth + 1}.conf;")
    parser = Parser(str(tmp_path))
    parser.add_file(str(tmp_path / "0.conf"))
    with pytest.raises(ConfigError, match=f"more than {module.MAX_NESTED_FILES} nested includes"):
        _read(parser)


def test_the_number_of_files_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 8)
    twice = "include {0}.conf; include {0}.conf;"
    others = {f"f{depth}": twice.format(f"f{depth + 1}") for depth in range(8)}
    with pytest.raises(ConfigError, match="more than 8 files"):
        _read(_parser(tmp_path, "include f0.conf;", **others))


def test_the_size_of_all_files_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOTAL_BYTES", 40)
    with pytest.raises(ConfigError, match="the configuration is larger than 40 bytes in"):
        _read(_parser(tmp_path, "include one.conf;" * 2, one="a a a a a;"))


def test_directives_of_the_command_line_come_first(tmp_path: Path) -> None:
    parser = _parser(tmp_path, "a;")
    parser.add_directives("b c; include one.conf;")
    (tmp_path / "one.conf").write_text("d;")
    first = parser.next()
    assert first is not None
    assert str(first.where) == "command line"
    assert _read(parser) == ["1:d;", "1:a;"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", 'unexpected end of parameter, expecting ";" in command line'),
        ("a 'b", 'unexpected end of parameter, expecting ";" in command line'),
        ("a {", 'unexpected end of file, expecting "}" in command line'),
        ("}", 'unexpected "}" in command line'),
        ("a\n'b'c", 'unexpected "c" in command line'),
    ],
)
def test_mistakes_on_the_command_line(text: str, message: str) -> None:
    parser = Parser("/")
    parser.add_directives(text)
    with pytest.raises(ConfigError) as caught:
        _read(parser)
    assert str(caught.value) == message


def test_a_block_can_be_passed_over(tmp_path: Path) -> None:
    parser = _parser(tmp_path, 'a { b {} include no.conf; "x"y }\nc;\nd {')
    parser.next()
    parser.skip_block()
    assert _read_some(parser, 2) == ["2:c;", "3:d{"]
    with pytest.raises(ConfigError, match='unexpected end of file, expecting "}" in'):
        parser.skip_block()


def _read_some(parser: Parser, count: int) -> list[str]:
    found = []
    for _ in range(count):
        item = parser.next()
        assert isinstance(item, Statement)
        found.append(f"{item.where.line}:{item.name}{'{' if item.opens else ';'}")
    return found


def test_paths_need_not_be_utf_8(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_bytes(b"include \xff.conf;")
    (tmp_path / "\udcff.conf").write_text("a;")
    parser = Parser(str(tmp_path))
    parser.add_file(str(tmp_path / "main.conf"))
    assert _read(parser) == ["1:a;"]
