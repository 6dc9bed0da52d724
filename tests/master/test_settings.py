"""Directives about the whole program."""

from pathlib import Path

import pytest

from gatepost.config.error_log import ErrorLog
from gatepost.log import Level
from gatepost.master.settings import SETTINGS, MasterSettings
from tests.reading import mistake, read


def test_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, "", *SETTINGS)[MasterSettings]
    assert (found.pid, found.daemon, found.master_process) == ("/run/gatepost.pid", True, True)
    assert found.error_log == (ErrorLog(None, Level.ERROR),)


def test_values(tmp_path: Path) -> None:
    text = "pid run/pid; daemon OFF; master_process off; error_log a info; error_log stderr warn;"
    found = read(tmp_path, text, *SETTINGS)[MasterSettings]
    assert (found.pid, found.daemon, found.master_process) == ("/prefix/run/pid", False, False)
    assert found.error_log == (ErrorLog("/prefix/a", Level.INFO), ErrorLog(None, Level.WARN))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pid;", 'invalid number of arguments in "pid" directive in :1'),
        ("pid a; pid b;", '"pid" directive is duplicate in :1'),
        ("daemon maybe;", 'invalid value "maybe" in "daemon" directive, it must be "on" or "off" in :1'),
        ("error_log;", 'invalid number of arguments in "error_log" directive in :1'),
        ("error_log a foo;", 'invalid log level "foo" in :1'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert mistake(tmp_path, text, *SETTINGS) == message
