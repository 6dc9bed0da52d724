"""Lines for the operator at the terminal, and for the log."""

from pathlib import Path

import pytest

from gatepost.cli.report import Reporter, say
from gatepost.log import Level, Sink
from tests.syslog_daemon import Daemon


def test_a_line_on_standard_error(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    say("ä\udcff")
    assert capfdbinary.readouterr().err == b"\xc3\xa4\xff\n"


def test_severe_lines_go_to_both_others_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = Reporter()
    assert report.log_to([Sink(str(tmp_path / "log"), Level.NOTICE), Sink(None, Level.DEBUG)]) == []
    report(Level.EMERG, "first")
    report(Level.NOTICE, "second")
    report(Level.INFO, "third")
    assert capfd.readouterr().err == "gatepost: [emerg] first\n"
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ", 2)[2].split(": ")[1] for line in lines] == ["first", "second"]
    assert "[emerg]" in lines[0]


def test_a_syslog_server_hears_them_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Daemon(tmp_path / "s") as daemon:
        report = Reporter()
        assert report.log_to([Sink(daemon.server(), Level.ERROR)]) == []
        report(Level.EMERG, "it does not start")
        (text,) = daemon.texts()
    assert text.endswith("#0: it does not start")
    assert capfd.readouterr().err == "gatepost: [emerg] it does not start\n"
    report.log_to([])


def test_a_log_that_cannot_be_opened_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = Reporter()
    path = str(tmp_path / "no" / "log")
    failure = f'open() "{path}" failed (2: No such file or directory)'
    assert report.log_to([Sink(path, Level.ERROR), Sink(str(tmp_path / "log"), Level.ERROR)]) == [failure]
    report(Level.ERROR, "text")
    assert capfd.readouterr().err == "gatepost: [error] text\n"
    assert (tmp_path / "log").read_text().endswith("text\n")
