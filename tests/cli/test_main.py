"""The command as a process: texts, exit status, where it looks, and how much it loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost import __version__
from gatepost.cli.main import main

LIMIT_SECONDS = 60


def _command(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gatepost", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-v"]) == 0
    assert capfd.readouterr().err == f"gatepost version: gatepost/{__version__}\n"


def test_the_build(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert "OpenSSL" in capfd.readouterr().err


@pytest.mark.parametrize("option", ["-h", "-?", "-vh", "-hV"])
def test_help(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([option]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"gatepost version: gatepost/{__version__}\nUsage: gatepost [-?hvVtTq]")
    assert "(default: /etc/gatepost/gatepost.conf)" in captured.err


def test_a_wrong_option(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-h", "-x"]) == 1
    assert capfd.readouterr().err == 'gatepost: invalid option: "x"\n'


def test_without_a_configuration_it_explains_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-p", str(tmp_path)]) == 1
    text = capfd.readouterr().err
    assert f"{tmp_path}/gatepost.conf does not exist" in text
    assert "listen 993 ssl;" in text
    assert "make demo" in text


def test_a_test_without_a_configuration_is_a_mistake(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-p", str(tmp_path), "-e", "stderr", "-t"]) == 1
    assert capfd.readouterr().err == (
        f'gatepost: [emerg] open() "{tmp_path}/gatepost.conf" failed (2: No such file or directory)\n'
        f"gatepost: configuration file {tmp_path}/gatepost.conf test failed\n"
    )


def test_relative_names_start_at_the_prefix(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text("events {} pid pid;")
    assert main(["-p", str(tmp_path), "-e", "log", "-tc", "a.conf"]) == 0
    assert f"{tmp_path}/a.conf syntax is ok" in capfd.readouterr().err
    assert (tmp_path / "log").exists()


def test_a_name_that_exists_elsewhere_is_a_hint(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("")
    (tmp_path / "prefix").mkdir()
    done = _command("-t", "-e", "stderr", "-p", "prefix", "-c", "a.conf", cwd=tmp_path)
    assert done.returncode == 1
    hint = f'gatepost: "a.conf" is looked for in the prefix {tmp_path}/prefix/, not in the current directory'
    assert done.stderr.splitlines()[0] == hint


def test_information_and_a_test_together(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gatepost.conf").write_text("events {} pid pid;")
    assert main(["-vt", "-e", "stderr", "-p", str(tmp_path)]) == 0
    assert len(capfd.readouterr().err.splitlines()) == 3


def test_the_module_is_the_command() -> None:
    done = _command("-v")
    assert done.returncode == 0
    assert done.stderr == f"gatepost version: gatepost/{__version__}\n"
    assert _command("-x").returncode == 1


def test_a_reader_of_the_dump_may_go_away(tmp_path: Path) -> None:
    (tmp_path / "gatepost.conf").write_text("events {} pid pid;\n" + "#" * 2**20)
    arguments = [sys.executable, "-m", "gatepost", "-qT", "-e", "stderr", "-p", str(tmp_path)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            arguments, stdout=write_end, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS, check=False
        )
    finally:
        os.close(write_end)
    assert done.returncode == 1
    assert done.stderr == b""


HEAVY = ("asyncio", "uvloop", "httptools", "cffi", "_cffi_backend", "ssl", "ctypes", "multiprocessing", "email")


def test_a_test_loads_only_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "gatepost.conf").write_text(
        "pid pid; events { } mail { proxy_pass 127.0.0.1; server { listen 127.0.0.1:143; timeout 5; } }"
    )
    code = (
        "import sys; from gatepost.cli.main import main\n"
        f"assert main(['-t', '-e', 'stderr', '-p', {str(tmp_path)!r}]) == 0\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    assert done.stdout.split() == []
