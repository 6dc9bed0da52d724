"""``error_log``: targets, levels, and the parameters of syslog."""

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import Address, unix
from gatepost.config.directive import Scene
from gatepost.config.error_log import ERROR_LOG, ErrorLog, open_log
from gatepost.errors import ConfigError, Where
from gatepost.log import Level, Outputs
from gatepost.syslog import FACILITIES, SyslogServer

WHERE = Where("gatepost.conf", 7)
LOOPBACK = Address(socket.AF_INET, "127.0.0.1", 514)


def parse(*words: str) -> tuple[ErrorLog, ...]:
    return ERROR_LOG.parse(words, Scene("error_log", WHERE, "/conf", "/prefix", print, error_log="log"))


def mistake(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*words)
    assert caught.value.where is None  # the builder adds it
    return caught.value.message


def server(text: str) -> SyslogServer:
    (line,) = parse(f"syslog:{text}")
    assert isinstance(line.target, SyslogServer)
    return line.target


@pytest.mark.parametrize(
    ("words", "target", "level"),
    [
        ((), "/prefix/log", Level.ERROR),
        (("a",), "/prefix/a", Level.ERROR),
        (("/a", "info"), "/a", Level.INFO),
        (("stderr", "emerg"), None, Level.EMERG),
        (("", "warn"), None, Level.WARN),
        (("a", "debug_mail", "debug_core"), "/prefix/a", Level.DEBUG),
        # Only in lower case, and only with the colon, is it anything but the name of a file.
        (("syslog",), "/prefix/syslog", Level.ERROR),
        (("SYSLOG:server=x",), "/prefix/SYSLOG:server=x", Level.ERROR),
        (("memory",), "/prefix/memory", Level.ERROR),
    ],
)
def test_files_and_levels(words: Sequence[str], target: str | None, level: Level) -> None:
    assert parse(*words) == (ErrorLog(target, level),)


def test_a_line_knows_its_place() -> None:
    assert parse("a")[0].where == WHERE
    assert parse("stderr")[0].where == WHERE
    assert parse("syslog:server=127.0.0.1")[0].where == WHERE


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "foo"), 'invalid log level "foo"'),
        (("a", "INFO"), 'invalid log level "INFO"'),
        (("a", "info", "info"), 'duplicate log level "info"'),
        (("a", "info", "error"), 'duplicate log level "error"'),
        (("a", "debug_mail", "debug"), 'duplicate log level "debug"'),
        (("a", "info", "debug_mail"), 'invalid log level "debug_mail"'),
        (("syslog:server=127.0.0.1", "foo"), 'invalid log level "foo"'),
        (
            ("memory:32m", "debug"),
            '"memory:" is for debugging nginx: name a file, "stderr" or "syslog:" in "error_log"',
        ),
    ],
)
def test_bad_levels_and_targets(words: Sequence[str], message: str) -> None:
    assert mistake(*words) == message


def test_syslog_as_it_is_without_parameters() -> None:
    assert server("server=127.0.0.1") == SyslogServer(LOOPBACK, "local7", "gatepost", hostname=True)


def test_syslog_with_every_parameter_in_any_order() -> None:
    expected = SyslogServer(LOOPBACK, "mail", "edge_1", hostname=False)
    assert server("server=127.0.0.1,facility=mail,tag=edge_1,nohostname,severity=info") == expected
    assert server("severity=warn,nohostname,tag=edge_1,facility=mail,nohostname,server=127.0.0.1:514") == expected


def test_a_syslog_line_has_a_level_of_its_own() -> None:
    assert parse("syslog:server=127.0.0.1,severity=crit", "info") == (ErrorLog(SyslogServer(LOOPBACK), Level.INFO),)


@pytest.mark.parametrize("facility", FACILITIES)
def test_every_facility(facility: str) -> None:
    assert server(f"server=127.0.0.1,facility={facility}").facility == facility


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1514", Address(socket.AF_INET, "127.0.0.1", 1514)),
        ("[::1]", Address(socket.AF_INET6, "::1", 514)),
        ("[::1]:1514", Address(socket.AF_INET6, "::1", 1514)),
        ("localhost", LOOPBACK),
        ("unix:/dev/log", unix("/dev/log")),
        ("unix:log", unix(os.path.abspath("log"))),
    ],
)
def test_where_a_syslog_server_may_be(text: str, address: Address) -> None:
    assert server(f"server={text}").address == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'unknown syslog parameter ""'),
        ("server=127.0.0.1,", 'unknown syslog parameter ""'),
        ("server=127.0.0.1,bogus", 'unknown syslog parameter "bogus"'),
        ("server=127.0.0.1,nohostname=1", 'unknown syslog parameter "nohostname=1"'),
        ("Server=127.0.0.1", 'unknown syslog parameter "Server=127.0.0.1"'),
        ("server=unix:/a,b", 'unknown syslog parameter "b"'),
        ("facility=mail", "no syslog server specified"),
        ("server=127.0.0.1,server=127.0.0.2", 'duplicate syslog "server"'),
        ("server=127.0.0.1,tag=a,tag=b", 'duplicate syslog "tag"'),
        ("server=127.0.0.1,facility=mail,facility=mail", 'duplicate syslog "facility"'),
        ("server=127.0.0.1,severity=warn,severity=warn", 'duplicate syslog "severity"'),
        ("server=127.0.0.1,facility=MAIL", 'unknown syslog facility "MAIL"'),
        ("server=127.0.0.1,facility=", 'unknown syslog facility ""'),
        ("server=127.0.0.1,severity=WARN", 'unknown syslog severity "WARN"'),
        ("server=127.0.0.1,tag=a-b", 'syslog "tag" only allows alphanumeric characters and underscore'),
        ("server=127.0.0.1,tag=ä", 'syslog "tag" only allows alphanumeric characters and underscore'),
        (f"server=127.0.0.1,tag={33 * 'a'}", "syslog tag length exceeds 32"),
        ("server=", 'no host in syslog server ""'),
        ("server=:514", 'no host in syslog server ":514"'),
        ("server=127.0.0.1:70000", 'invalid port in syslog server "127.0.0.1:70000"'),
        ("server=127.0.0.1:0", 'invalid port in syslog server "127.0.0.1:0"'),
        ("server=127.0.0.1:", 'invalid port in syslog server "127.0.0.1:"'),
        ("server=127.0.0.1/x", 'invalid host in syslog server "127.0.0.1/x"'),
        ("server=[::1", 'invalid host in syslog server "[::1"'),
        ("server=no.such.invalid", 'host not found in syslog server "no.such.invalid"'),
        ("server=unix:", 'no path in the unix domain socket in syslog server "unix:"'),
        (
            f"server=unix:/{120 * 'x'}",
            f'too long path in the unix domain socket in syslog server "unix:/{120 * "x"}"',
        ),
    ],
)
def test_what_is_wrong_with_a_syslog_server(text: str, message: str) -> None:
    assert mistake(f"syslog:{text}") == message


def test_a_tag_may_be_as_long_as_nginx_allows_or_empty() -> None:
    assert server(f"server=127.0.0.1,tag={32 * 'a'}").tag == 32 * "a"
    assert server("server=127.0.0.1,tag=").tag == ""


@given(st.text(max_size=30))
def test_no_word_is_more_than_an_error(word: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(word)
    # Names are not drawn: each would be looked up.
    with contextlib.suppress(ConfigError):
        parse(f"syslog:server=127.0.0.1,{word}")


def test_a_log_that_cannot_be_opened_has_its_line(tmp_path: Path) -> None:
    outputs = Outputs()
    lines = (
        ErrorLog(str(tmp_path / "log"), Level.ERROR, Where("a", 1)),
        ErrorLog(str(tmp_path / "none" / "log"), Level.ERROR, Where("a", 2)),
    )
    with pytest.raises(ConfigError) as caught:
        open_log(outputs, lines)
    assert str(caught.value) == f'open() "{tmp_path}/none/log" failed (2: No such file or directory) in a:2'
    outputs.prune(())


def test_a_log_takes_what_its_lines_say(tmp_path: Path) -> None:
    outputs = Outputs()
    path = tmp_path / "log"
    log = open_log(outputs, (ErrorLog(str(path), Level.CRIT, Where("a", 1)),))
    log.write(Level.CRIT, "one")
    log.write(Level.ERROR, "two")
    assert [line[-3:] for line in path.read_text().splitlines()] == ["one"]
    outputs.prune(())
