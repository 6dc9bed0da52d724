"""From text to settings: contexts, arity, duplicates, inheritance, checks, and which mistake comes first."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost.config.build import Server, defaults, is_main_group
from gatepost.config.directive import EVENTS, MAIL, MAIN, SERVER, Kind, Repeat, Scene, directive
from gatepost.config.kinds import FLAG, NUMBER, SIZE, STRING, STRINGS, TIME, words
from gatepost.errors import ConfigError, Where
from tests.reading import mistake, read


def _half(given: Sequence[str], _scene: Scene) -> dict[str, str]:
    return dict([given[0].split("=")]) if given else {}


HALVES = Kind("half=value", (1, 1), _half, lambda a, b, _: {**a, **b}, lambda outer, inner: {**outer, **inner})


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    flag: bool = directive(FLAG, MAIN, default="off", doc="")
    connections: int = directive(NUMBER, EVENTS, default="512", doc="")
    log: str = directive(STRING, MAIN, default="top", doc="")


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    need: tuple[bytes, ...] = directive(STRINGS, SERVER, default="", doc="", repeat=Repeat.ADDS, required=True)
    time: float = directive(TIME, MAIL | SERVER, default="60s", doc="")
    names: tuple[bytes, ...] = directive(STRINGS, MAIL | SERVER, default='a "b c"', doc="", repeat=Repeat.ADDS)
    log: str | None = directive(STRING, MAIL | SERVER, default=None, doc="")

    def check(self, server: Server) -> None:
        if self.time == 1:
            raise ConfigError("first refuses server", server.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    auth: tuple[str, ...] = directive(words("x", "y"), MAIL | SERVER, default="x", doc="", repeat=Repeat.ADDS)
    size: int = directive(SIZE, MAIL | SERVER, default="4k", doc="")
    last: str | None = directive(STRING, MAIL | SERVER, default=None, doc="", repeat=Repeat.LAST_WINS)
    halves: dict[str, str] = directive(HALVES, MAIL | SERVER, default="", doc="", repeat=Repeat.ADDS)

    def check(self, server: Server) -> None:
        if server[First].time == 2 or self.size == 0:
            raise ConfigError("second refuses server", server.where)


GROUPS = (Top, First, Second)


def _refused(tmp_path: Path, text: str, directives: str = "") -> str:
    return mistake(tmp_path, text, *GROUPS, directives=directives)


def test_nothing_is_a_configuration(tmp_path: Path) -> None:
    found = read(tmp_path, "", *GROUPS)
    assert found[Top] == Top(flag=False, connections=512, log="top")
    assert found.servers == ()
    assert found.where == Where(str(tmp_path / "gatepost.conf"), 1)
    assert found.files == ((str(tmp_path / "gatepost.conf"), ""),)
    assert First not in found
    assert Top in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo;", 'unknown directive "foo" in :1'),
        ("foo {", 'unknown directive "foo" in :1'),
        ('"";', 'unknown directive "" in :1'),
        ("time 1;", '"time" directive is not allowed here in :1'),
        ("events { flag on; }", '"flag" directive is not allowed here in :1'),
        ("connections 1;", '"connections" directive is not allowed here in :1'),
        ("mail { flag on; }", '"flag" directive is not allowed here in :1'),
        ("mail {\n need a; }", '"need" directive is not allowed here in :2'),
        ("server { }", '"server" directive is not allowed here in :1'),
        ("mail { mail { } }", '"mail" directive is not allowed here in :1'),
        ("mail { events { } }", '"events" directive is not allowed here in :1'),
        ("mail { http { } }", '"http" directive is not allowed here in :1'),
        ("mail { server { server { } } }", '"server" directive is not allowed here in :1'),
        ("mail;", 'directive "mail" has no opening "{" in :1'),
        ("events a;", 'directive "events" has no opening "{" in :1'),
        ("http;", 'directive "http" has no opening "{" in :1'),
        ("mail { server; }", 'directive "server" has no opening "{" in :1'),
        ("flag on {", 'directive "flag" is not terminated by ";" in :1'),
        ("mail a {", 'invalid number of arguments in "mail" directive in :1'),
        ("mail { server a { } }", 'invalid number of arguments in "server" directive in :1'),
        ("stream a { }", 'invalid number of arguments in "stream" directive in :1'),
        ("flag;", 'invalid number of arguments in "flag" directive in :1'),
        ("flag on off;", 'invalid number of arguments in "flag" directive in :1'),
        ("mail { names; }", 'invalid number of arguments in "names" directive in :1'),
        ("mail { }\nmail { }", '"mail" directive is duplicate in :2'),
        ("events { } events { }", '"events" directive is duplicate in :1'),
        ("http { } http { }", '"http" directive is duplicate in :1'),
        ("flag on; flag on;", '"flag" directive is duplicate in :1'),
        ("events { connections 1; connections 1; }", '"connections" directive is duplicate in :1'),
        ("mail { time 5; time x; }", '"time" directive is duplicate in :1'),
        ("flag maybe;", 'invalid value "maybe" in "flag" directive, it must be "on" or "off" in :1'),
        ("mail { time x\n;", '"time" directive invalid value in :2'),
        ("mail { auth z; }", 'invalid value "z" in :1'),
        ("mail {\nserver\n{\n\n} foo;", 'no "need" is defined for server in :3'),
        ("mail { time 5; ", 'unexpected end of file, expecting "}" in :1'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert _refused(tmp_path, text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mail { time x; }\nfoo; }", '"time" directive invalid value in :1'),
        ("foo;\nmail {", 'unknown directive "foo" in :1'),
        ("mail { server { } }\n}", 'no "need" is defined for server in :1'),
        ("mail {\n server { need a; time 1; } }\nfoo;", "first refuses server in :2"),
    ],
)
def test_the_first_mistake_of_a_file_is_reported(tmp_path: Path, text: str, message: str) -> None:
    assert _refused(tmp_path, text) == message


def test_checks_run_group_by_group(tmp_path: Path) -> None:
    text = "mail {\nserver { need a; size 0; }\nserver { need a; time 2; }\nserver { need a; time 1; }\n}"
    assert _refused(tmp_path, text) == "first refuses server in :4"
    assert _refused(tmp_path, text.replace("time 1", "time 3")) == "second refuses server in :2"


def test_defaults_go_through_the_parser(tmp_path: Path) -> None:
    server = read(tmp_path, "mail { server { need n; } }", *GROUPS).servers[0]
    assert server[First] == First(need=(b"n",), time=60.0, names=(b"a", b"b c"), log=None)
    assert server[Second] == Second(auth=("x",), size=4096, last=None, halves={})


def test_a_server_takes_its_own_value_or_the_outer_one(tmp_path: Path) -> None:
    text = """mail {
        time 1m;
        server { need a; names z; }
        names x y;
        names w;
        server { need b; time 2m; log own; }
        log outer;
    }"""
    inner, other = (server[First] for server in read(tmp_path, text, *GROUPS).servers)
    assert inner == First(need=(b"a",), time=60.0, names=(b"z",), log="outer")
    assert other == First(need=(b"b",), time=120.0, names=(b"x", b"y", b"w"), log="own")


def test_the_kinds_of_repeating(tmp_path: Path) -> None:
    text = "mail { auth y; auth x; last a; last b; server { need a; need b c; last c; } }"
    server = read(tmp_path, text, *GROUPS).servers[0]
    assert server[First].need == (b"a", b"b", b"c")
    assert server[Second].auth == ("x", "y")
    assert server[Second].last == "c"


def test_a_kind_may_inherit_in_parts(tmp_path: Path) -> None:
    text = "mail { halves a=1; halves b=2; server { need a; halves b=3; } server { need a; } }"
    first, second = read(tmp_path, text, *GROUPS).servers
    assert first[Second].halves == {"a": "1", "b": "3"}
    assert second[Second].halves == {"a": "1", "b": "2"}


def test_a_name_may_mean_something_else_in_another_context(tmp_path: Path) -> None:
    found = read(tmp_path, "log main; mail { log mail; server { need a; } }", *GROUPS)
    assert found[Top].log == "main"
    assert found.servers[0][First].log == "mail"


def test_where_the_value_in_force_was_written(tmp_path: Path) -> None:
    text = "flag on;\nmail {\ntime 5;\nsize 1;\nserver {\nneed a;\nneed b;\nsize 2;\n} }"
    found = read(tmp_path, text, *GROUPS)
    server = found.servers[0]
    lines = {
        name: place and place.line
        for name in ("time", "size", "need", "names")
        for place in [server.where_of(name)]
    }
    assert lines == {"time": 3, "size": 8, "need": 7, "names": None}
    assert server.where.line == 5
    flag = found.where_of("flag")
    assert flag is not None
    assert flag.line == 1
    assert found.where_of("time") is None
    assert (server.level_of("time"), server.level_of("size"), server.level_of("names")) == (MAIL, SERVER, None)


def test_http_and_stream_are_passed_over_with_a_warning_each(tmp_path: Path) -> None:
    text = """http {
        server { listen 80; location ~ "^/a{2}}" { return 200 'it\\'s } {'; } # }
        set $a "${b}"; include nowhere.conf; }
    }
    stream { server { } }
    flag on;"""
    found = read(tmp_path, text, *GROUPS)
    assert found[Top].flag
    path = tmp_path / "gatepost.conf"
    assert list(found.warnings) == [
        f'the "http" block is skipped: gatepost serves mail only in {path}:1',
        f'the "stream" block is skipped: gatepost serves mail only in {path}:5',
    ]


def test_warnings_carry_their_place(tmp_path: Path) -> None:
    heard: list[str] = []
    found = read(tmp_path, "mail {\nauth x\nX; auth x y; }", *GROUPS, warn=heard.append)
    path = tmp_path / "gatepost.conf"
    assert list(found.warnings) == heard
    assert list(found.warnings) == [f'duplicate value "X" in {path}:3', f'duplicate value "x" in {path}:3']


def test_directives_of_the_command_line_share_the_main_level(tmp_path: Path) -> None:
    assert read(tmp_path, "", *GROUPS, directives="flag on;")[Top].flag
    assert _refused(tmp_path, "flag on;", "flag on;") == '"flag" directive is duplicate in :1'
    assert _refused(tmp_path, "", "flag on; flag on;") == '"flag" directive is duplicate in command line'
    assert _refused(tmp_path, "", "foo bar;") == 'unknown directive "foo" in command line'


def test_groups_of_the_main_level_are_told_from_others() -> None:
    assert is_main_group(Top)
    assert not is_main_group(First)


def test_default_settings_can_be_had_alone() -> None:
    assert defaults(Top) == Top(flag=False, connections=512, log="top")
    assert defaults(Top, log="x") == replace(defaults(Top), log="x")


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *(
                        "mail",
                        "server",
                        "events",
                        "http",
                        "stream",
                        "include",
                        "need",
                        "time",
                        "names",
                        "auth",
                        "size",
                    ),
                    *("{", "}", ";", " ", "\n", "#", "'", '"', "\\", "${", "*", "5", "1h", "gatepost.conf", "/"),
                ]
            ),
            st.text(max_size=5),
        ),
        max_size=30,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_a_configuration_or_a_mistake(tmp_path: Path, pieces: list[str]) -> None:
    text = " ".join(pieces).encode("utf-8", "replace").decode()
    with contextlib.suppress(ConfigError):
        read(tmp_path, text, *GROUPS)
