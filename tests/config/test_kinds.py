"""Values: what is accepted, in which unit it ends up, and the texts of errors."""

import contextlib
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config import kinds
from gatepost.config.directive import Kind, Scene
from gatepost.errors import ConfigError

T = TypeVar("T")


def _scene(warnings: list[str] | None = None) -> Scene:
    return Scene("it", None, "/conf", "/prefix", ([] if warnings is None else warnings).append, error_log="log")


def _parse(kind: Kind[T], *words: str) -> T:
    return kind.parse(words, _scene())


def _mistake(kind: Kind[T], *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _parse(kind, *words)
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("1s", 1),
        ("1500ms", 1.5),
        ("1m", 60),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1h  30m ", 5400),
        ("1w2d3h4m5s6ms", 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5.006),
        ("1m1", 61),
        ("5 ", 5),
        ("1d ", 86400),
    ],
)
def test_times_of_millisecond_resolution(word: str, seconds: float) -> None:
    assert _parse(kinds.TIME, word) == seconds


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "s",
        "ms",
        "x",
        "1x",
        " 1h",
        "1 h",
        "-1",
        "+1",
        "1.5",
        "1M",
        "1y",
        "1H",
        "1m1h",
        "1m1m",
        "1ms1s",
        "1\n",
        "\u0661",
    ],
)
def test_bad_times(word: str) -> None:
    assert _mistake(kinds.TIME, word) == '"it" directive invalid value'


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("5m", 300), ("1y", 31536000), ("1M", 2592000), ("1y2M3w4d5h6m7s", 38898367), ("1M1m", 2592060), ("10", 10)],
)
def test_times_of_second_resolution(word: str, seconds: int) -> None:
    value = _parse(kinds.SECONDS, word)
    assert value == seconds
    assert isinstance(value, int)


@pytest.mark.parametrize("word", ["", "1ms", "1m1M", "1M1y", "s", "9" * 30])
def test_bad_times_of_second_resolution(word: str) -> None:
    assert _mistake(kinds.SECONDS, word) == '"it" directive invalid value'


@pytest.mark.parametrize(
    ("word", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4k", 4096),
        ("4K", 4096),
        ("1m", 1048576),
        ("1M", 1048576),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_sizes(word: str, size: int) -> None:
    assert _parse(kinds.SIZE, word) == size


@pytest.mark.parametrize("word", ["", "k", "1g", "1kk", "1 k", "-1", "1.5k", str(2**63), f"{2**53}k", "٣"])
def test_bad_sizes(word: str) -> None:
    assert _mistake(kinds.SIZE, word) == '"it" directive invalid value'


def test_numbers() -> None:
    assert _parse(kinds.NUMBER, "0") == 0
    assert _parse(kinds.NUMBER, "007") == 7
    assert _parse(kinds.NUMBER, str(2**63 - 1)) == 2**63 - 1
    for word in ("", "-1", "+1", "1k", "x", "1_0", str(2**63), "9" * 4000, "\u0661"):
        assert _mistake(kinds.NUMBER, word) == '"it" directive invalid number'


def test_flags() -> None:
    assert [_parse(kinds.FLAG, word) for word in ("on", "ON", "off", "Off")] == [True, True, False, False]
    for word in ("", "yes", "1", "maybe"):
        text = f'invalid value "{word}" in "it" directive, it must be "on" or "off"'
        assert _mistake(kinds.FLAG, word) == text


def test_words_and_bytes() -> None:
    assert _parse(kinds.STRING, "Ä") == "Ä"
    assert _parse(kinds.BYTES, "Ä\udcff") == b"\xc3\x84\xff"
    assert _parse(kinds.STRINGS, "a", "ü") == (b"a", b"\xc3\xbc")
    assert _parse(kinds.STRINGS) == ()
    assert _parse(kinds.PAIRS, "a", "b") == ((b"a", b"b"),)
    assert _parse(kinds.PAIRS) == ()


def test_paths() -> None:
    assert _parse(kinds.PATH_CONF, "a/b") == "/conf/a/b"
    assert _parse(kinds.PATH_CONF, "/a") == "/a"
    assert _parse(kinds.PATH_PREFIX, "a/b") == "/prefix/a/b"
    assert _parse(kinds.PATH_PREFIX, "/a") == "/a"
    assert _parse(kinds.DATA_FILES, "a") == ("/conf/a",)
    for word in ("data:-----BEGIN", "engine:a:b", "store:file:/x", "/abs"):
        assert _parse(kinds.DATA_FILES, word) == (word,)
    assert _parse(kinds.DATA_FILES) == ()


SET = kinds.words("plain", "TLSv1", "cram-md5")


def test_a_set_of_words_is_in_the_order_of_the_list() -> None:
    assert _parse(SET, "CRAM-md5", "tlsV1") == ("TLSv1", "cram-md5")
    assert _parse(SET) == ()


def test_a_set_of_words_warns_of_doubles() -> None:
    warnings: list[str] = []
    assert SET.parse(["plain", "PLAIN", "tlsv1"], _scene(warnings)) == ("plain", "TLSv1")
    assert warnings == ['duplicate value "PLAIN"']


def test_sets_of_words_add_up() -> None:
    warnings: list[str] = []
    assert SET.combine is not None
    assert SET.combine(("cram-md5",), ("plain", "cram-md5"), _scene(warnings)) == ("plain", "cram-md5")
    assert warnings == ['duplicate value "cram-md5"']


def test_one_of_several_words() -> None:
    kind = kinds.enum("off", "on", "Only")
    assert _parse(kind, "ONLY") == "Only"
    assert _mistake(kind, "maybe") == 'invalid value "maybe"'
    assert _mistake(SET, "plain", "x") == 'invalid value "x"'


def test_an_ignored_directive_says_why() -> None:
    warnings: list[str] = []
    kinds.ignored("x", (1, 1), "there is none").parse(["a"], _scene(warnings))
    assert warnings == ['the "it" directive is ignored: there is none']


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_times_add_up(hours: int, minutes: int, rest: int) -> None:
    expected = hours * 3600000 + minutes * 60000 + rest
    assert kinds.milliseconds(f"{hours}h{minutes}m{rest}ms") == expected


@given(st.text(max_size=30))
def test_no_word_is_more_than_an_error(word: str) -> None:
    every: tuple[Kind[Any], ...] = (
        kinds.TIME, kinds.SECONDS, kinds.SIZE, kinds.NUMBER, kinds.FLAG, kinds.STRING, kinds.BYTES, kinds.STRINGS,
        kinds.PATH_CONF, kinds.PATH_PREFIX, kinds.DATA_FILES, SET,
    )  # fmt: skip
    for kind in every:
        with contextlib.suppress(ConfigError):
            kind.parse([word], _scene())
