"""The error log: lines, levels, targets, reopening, and what never gets into a line."""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.log import (
    MAX_LINE_BYTES,
    NOTICE_SECONDS,
    FileOutput,
    Level,
    Log,
    Output,
    Outputs,
    Sink,
    SyslogOutput,
    quoted,
)
from tests.syslog_daemon import Daemon
from tests.wire import Lines

STAMP = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"


# Escaping ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"joe@example.org", "joe@example.org"),
        (b"a b", "a b"),
        (b"", ""),
        (b"\r\n", r"\x0D\x0A"),
        (b'"\\', r"\x22\x5C"),
        (b"\x00\x1f\x7f\x80\xff", r"\x00\x1F\x7F\x80\xFF"),
        ("ö".encode(), r"\xC3\xB6"),
    ],
)
def test_quoted(data: bytes, shown: str) -> None:
    assert quoted(data) == shown


def test_quoted_cuts_by_bytes_of_the_original() -> None:
    assert quoted(b"abcdef", 6) == "abcdef"
    assert quoted(b"abcdefg", 6) == "abcdef..."
    assert quoted(b"\n\n\n", 2) == r"\x0A\x0A..."
    assert len(quoted(bytes(5000))) == 4 * 1024 + 3


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_quoted_is_printable_and_keeps_texts_apart(one: bytes, other: bytes) -> None:
    assert quoted(one).isascii()
    assert quoted(one).isprintable()
    assert '"' not in quoted(one)
    assert (quoted(one) == quoted(other)) is (one == other)


# Lines -------------------------------------------------------------------------------------------


def test_a_line_is_as_nginx_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    log = Outputs().log([Sink(str(path), Level.DEBUG)])
    log.write(Level.NOTICE, "start")
    log.write(Level.INFO, "hello", 17)
    first, second = path.read_text().splitlines()
    assert re.fullmatch(rf"{STAMP} \[notice\] {os.getpid()}#0: start", first)
    assert re.fullmatch(rf"{STAMP} \[info\] {os.getpid()}#0: \*17 hello", second)


def test_a_long_line_is_cut_and_still_ends() -> None:
    class Raw(Lines):
        def emit(self, level: Level, line: bytes) -> None:
            assert level is Level.ERROR
            self.texts.append(line.decode())

    lines = Raw()
    lines.log().write(Level.ERROR, "x" * 5000)
    (line,) = lines.texts
    assert len(line) == MAX_LINE_BYTES
    assert line.endswith("x\n")
    assert line.count("\n") == 1


def test_a_line_break_cannot_make_two_lines() -> None:
    lines = Lines()
    lines.log().write(Level.ERROR, "one\n2026/01/01 00:00:00 [emerg] forged")
    assert lines.texts == ["[error] one 2026/01/01 00:00:00 [emerg] forged"]


@pytest.mark.parametrize("text", ["\ud800", "é", "\x00"], ids=ascii)
def test_no_text_makes_writing_fail(tmp_path: Path, text: str) -> None:
    path = tmp_path / "error.log"
    Outputs().log([Sink(str(path), Level.DEBUG)]).write(Level.ERROR, text)
    assert path.read_bytes().count(b"\n") == 1


def test_bytes_of_file_names_come_through(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    Outputs().log([Sink(str(path), Level.DEBUG)]).write(Level.ERROR, os.fsdecode(b"/caf\xe9"))
    assert b"/caf\xe9\n" in path.read_bytes()


# Levels ------------------------------------------------------------------------------------------


def test_each_target_takes_its_level_and_all_that_is_more_severe() -> None:
    severe, talkative = Lines(), Lines()
    log = Log([(Level.ERROR, severe), (Level.INFO, talkative)])
    for level in Level:
        log.write(level, level.word)
    assert [text.split()[1] for text in severe.texts] == ["emerg", "alert", "crit", "error"]
    assert [text.split()[1] for text in talkative.texts] == [
        "emerg",
        "alert",
        "crit",
        "error",
        "warn",
        "notice",
        "info",
    ]
    assert log.threshold is Level.INFO
    assert log.wants(Level.INFO)
    assert not log.wants(Level.DEBUG)


def test_a_log_without_targets_takes_nothing() -> None:
    Log(()).write(Level.EMERG, "nobody hears")
    assert not Log(()).wants(Level.ALERT)


# Targets -----------------------------------------------------------------------------------------


def test_logs_that_name_one_file_share_it(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    outputs = Outputs()
    outputs.log([Sink(str(path), Level.ERROR)]).write(Level.ERROR, "one")
    outputs.log([Sink(str(path), Level.INFO)]).write(Level.INFO, "two")
    os.rename(path, tmp_path / "old.log")
    assert outputs.reopen() == []
    outputs.log([Sink(str(path), Level.ERROR)]).write(Level.ERROR, "three")
    assert [line[-3:] for line in (tmp_path / "old.log").read_text().splitlines()] == ["one", "two"]
    assert path.read_text().endswith("three\n")


def test_a_new_file_may_be_read_by_all_and_written_by_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    before = os.umask(0)
    try:
        output = FileOutput(str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not os.get_inheritable(output.fd)
    output.close()
    output.close()


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    path.write_text("before\n")
    Outputs().log([Sink(str(path), Level.ERROR)]).write(Level.ERROR, "after")
    assert path.read_text().startswith("before\n")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "error.log"
    with pytest.raises(FileNotFoundError) as caught:
        Outputs().log([Sink(str(path), Level.ERROR)])
    assert caught.value.filename == str(path)


def test_what_cannot_be_reopened_goes_on_where_it_was(tmp_path: Path) -> None:
    outputs = Outputs()
    directory = tmp_path / "logs"
    directory.mkdir()
    log = outputs.log([Sink(str(directory / "error.log"), Level.ERROR)])
    directory.rename(tmp_path / "moved")
    (error,) = outputs.reopen()
    assert error.errno == errno.ENOENT
    log.write(Level.ERROR, "still heard")
    assert (tmp_path / "moved" / "error.log").read_text().endswith("still heard\n")


def test_reopening_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    outputs = Outputs()
    outputs.log([Sink(str(tmp_path / "error.log"), Level.ERROR), Sink(None, Level.ERROR)])

    def targets() -> list[str]:
        names = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
        return [os.readlink(name) for name in names if os.path.exists(name)]

    before = sum(str(tmp_path) in target for target in targets())
    for _ in range(5):
        assert outputs.reopen() == []
    assert sum(str(tmp_path) in target for target in targets()) == before == 1


@pytest.mark.parametrize("lacking", ["emit", "close"])
def test_an_output_that_takes_no_lines_or_cannot_be_closed_is_none(lacking: str) -> None:
    half = type("Half", (FileOutput,), {lacking: getattr(Output, lacking)})
    with pytest.raises(TypeError, match=lacking):
        half(None)


def test_a_full_disk_ends_no_session() -> None:
    output = FileOutput("/dev/full")
    output.emit(Level.ERROR, b"lost\n")
    output.close()


def test_standard_error_is_a_target_too(capfd: pytest.CaptureFixture[str]) -> None:
    Outputs().log([Sink(None, Level.ERROR)]).write(Level.ERROR, "to stderr")
    assert capfd.readouterr().err.endswith("to stderr\n")


def test_an_output_that_no_log_uses_any_more_is_closed(tmp_path: Path) -> None:
    outputs = Outputs()
    kept = outputs.log([Sink(str(tmp_path / "kept"), Level.ERROR), Sink(None, Level.ERROR)])
    outputs.log([Sink(str(tmp_path / "dropped"), Level.ERROR), Sink(str(tmp_path / "kept"), Level.INFO)])
    assert open_below(tmp_path) == {"kept", "dropped"}
    outputs.prune([kept])
    assert open_below(tmp_path) == {"kept"}
    kept.write(Level.ERROR, "still heard")
    assert (tmp_path / "kept").read_text().endswith("still heard\n")
    outputs.log([Sink(str(tmp_path / "dropped"), Level.ERROR)]).write(Level.ERROR, "opened again")
    assert (tmp_path / "dropped").read_text().endswith("opened again\n")
    outputs.prune(())
    assert open_below(tmp_path) == set()


def open_below(directory: Path) -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            path = Path(f"/proc/self/fd/{name}").readlink()
            if path.parent == directory:
                found.add(path.name)
    return found


@pytest.fixture
def own_stderr() -> Iterator[None]:
    """Standard error is a copy that a test may put elsewhere."""
    saved = os.dup(2)
    yield
    os.dup2(saved, 2)
    os.close(saved)


@pytest.mark.usefixtures("own_stderr")
def test_standard_error_of_a_daemon_follows_the_first_file(tmp_path: Path) -> None:
    def stderr() -> str:
        return os.readlink("/proc/self/fd/2")

    outputs = Outputs()
    first = outputs.log([Sink(str(tmp_path / "a"), Level.ERROR)])
    second = outputs.log([Sink(str(tmp_path / "b"), Level.ERROR)])
    outputs.redirect_stderr()
    assert stderr() == str(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "old")
    assert outputs.reopen() == []
    assert stderr() == str(tmp_path / "a")
    outputs.prune([second])
    assert stderr() == str(tmp_path / "b")
    assert first.outputs != second.outputs
    outputs.prune(())
    assert stderr() == "/dev/null"


@pytest.mark.usefixtures("own_stderr")
def test_standard_error_of_a_daemon_stays_where_it_is_a_log(tmp_path: Path) -> None:
    before = os.readlink("/proc/self/fd/2")
    outputs = Outputs()
    outputs.log([Sink(str(tmp_path / "a"), Level.ERROR), Sink(None, Level.ERROR)])
    outputs.redirect_stderr()
    assert os.readlink("/proc/self/fd/2") == before


# Syslog ------------------------------------------------------------------------------------------


def test_a_syslog_server_is_told_the_severity_of_each_line(tmp_path: Path) -> None:
    with Daemon(tmp_path / "s") as daemon:
        outputs = Outputs()
        log = outputs.log([Sink(daemon.server(facility="mail", hostname=False), Level.INFO)])
        for level in Level:
            log.write(level, level.word, 3)
        texts = daemon.texts()
        outputs.prune(())
    assert len(texts) == Level.INFO
    for level, text in zip(Level, texts, strict=False):
        number = 2 * 8 + level - 1
        assert re.fullmatch(rf"<{number}>.* gatepost: {STAMP} \[{level.word}\] \d+#0: \*3 {level.word}", text)


def test_a_log_may_have_files_and_syslog_servers(tmp_path: Path) -> None:
    with Daemon(tmp_path / "s") as daemon:
        path = tmp_path / "error.log"
        outputs = Outputs()
        server = daemon.server()
        log = outputs.log([Sink(server, Level.CRIT), Sink(str(path), Level.ERROR), Sink(server, Level.CRIT)])
        log.write(Level.ERROR, "one")
        log.write(Level.CRIT, "two")
        assert outputs.reopen() == []
        log.write(Level.CRIT, "three")
        assert [text.rpartition(" ")[2] for text in daemon.texts()] == ["two", "two", "three", "three"]
        assert path.read_text().count("\n") == 3
        outputs.prune(())


def test_lines_that_a_syslog_server_does_not_take_are_told_when_it_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    with Daemon(tmp_path / "s") as daemon:
        output = SyslogOutput(daemon.server(), lambda: now)
        log = Log([(Level.CRIT, output)])
        log.write(Level.CRIT, "zero")
        assert len(daemon.texts()) == 1
    for text in ("one", "two", "three"):
        log.write(Level.CRIT, text)
    (said,) = capfd.readouterr().err.splitlines()
    end = f"syslog server unix:{tmp_path}/s takes no lines (2: No such file or directory), they are lost"
    assert re.fullmatch(rf"{STAMP} \[alert\] {os.getpid()}#0: {re.escape(end)}", said)
    with Daemon(tmp_path / "s") as daemon:
        log.write(Level.CRIT, "four")
        four, told = daemon.texts()
        assert four.endswith("four")
        assert re.fullmatch(rf"<188>.*: {STAMP} \[warn\] \d+#0: 3 lines before the last one were lost", told)
        log.write(Level.CRIT, "five")
        assert len(daemon.texts()) == 1
    # A server that comes and goes is told of once in a while only.
    log.write(Level.CRIT, "six")
    assert capfd.readouterr().err == ""
    with Daemon(tmp_path / "s") as daemon:
        log.write(Level.CRIT, "seven")
        assert len(daemon.texts()) == 1
        now = NOTICE_SECONDS
        log.write(Level.CRIT, "eight")
        assert daemon.texts()[-1].endswith(" 1 lines before the last one were lost")
    log.write(Level.CRIT, "nine")
    assert capfd.readouterr().err.count("\n") == 1
    output.close()
