"""The pid file: written, read, and removed only by whom it names."""

import os
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.master import pidfile


def test_holds_our_process_id(tmp_path: Path) -> None:
    path = str(tmp_path / "pid")
    pidfile.write(path)
    assert Path(path).read_text() == f"{os.getpid()}\n"
    assert pidfile.read(path) == os.getpid()


def test_replaces_what_a_dead_process_left(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("999999999\nand more than one line\n")
    pidfile.write(str(path))
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_directory_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'open\(\) ".*/none/pid" failed \(2: No such file or directory\)'):
        pidfile.write(str(tmp_path / "none" / "pid"))


def test_remove_takes_our_own_away(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    pidfile.write(str(path))
    pidfile.remove(str(path))
    assert not path.exists()
    pidfile.remove(str(path))


@pytest.mark.parametrize("content", ["1\n", "not a number", ""])
def test_remove_leaves_what_is_not_ours(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content)
    pidfile.remove(str(path))
    assert path.read_text() == content


@pytest.mark.parametrize("content", ["", "x", "0", "-5", "12 34"])
def test_read_refuses_what_is_no_process_id(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"invalid literal|is not a process id"):
        pidfile.read(str(path))
