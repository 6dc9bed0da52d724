"""How a program was started, seen from inside: scripts, modules, zipapps, links, and what replaces them on disk."""

import json
import os
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from gatepost.master.command import Command, command, own_command

LIMIT_SECONDS = 30
PYTHON = "/venv/bin/python"

PROGRAM = """\
import json, sys
sys.path.insert(0, {source!r})
from gatepost.master.command import own_command
found = own_command()
print(json.dumps([found.path, found.arguments]))
"""


@pytest.fixture
def program() -> str:
    """A program that prints how it was started."""
    source = str(Path(own_command.__code__.co_filename).parents[2])
    return PROGRAM.format(source=source)


def script(path: Path, first_line: str, program: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{first_line}\n{program}")
    path.chmod(mode)
    return path


def told(*words: str | Path, cwd: Path | None = None) -> Command:
    """What the program that ``words`` start says of itself."""
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    path, arguments = json.loads(done.stdout)
    return Command(path, tuple(arguments))


def starts_the_same(found: Command) -> bool:
    done = subprocess.run(
        found.arguments,
        executable=found.path,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    )
    path, arguments = json.loads(done.stdout)
    return Command(path, tuple(arguments)) == found


@pytest.mark.parametrize(
    "first_line",
    [
        f"#!{sys.executable}",
        f"#! {sys.executable} -B",
        "#!/usr/bin/env python3",
        "#!/usr/bin/env -S python3 -B",
        f"""#!/bin/sh\n'''exec' {sys.executable} "$0" "$@"\n' '''""",  # pip's, where the path is long
    ],
)
def test_a_script_is_started_by_its_own_first_line(tmp_path: Path, program: str, first_line: str) -> None:
    path = script(tmp_path / "gatepost", first_line, program)
    found = told(path, "-c", "file")
    assert found == Command(str(path), (str(path), "-c", "file"))
    assert starts_the_same(found)


def test_relative_names_are_tied_to_where_it_was_started(tmp_path: Path, program: str) -> None:
    path = script(tmp_path / "bin" / "gatepost", f"#!{sys.executable}", program)
    assert told("bin/gatepost", "-t", cwd=tmp_path) == Command(str(path), (str(path), "-t"))
    assert told(sys.executable, "-B", "bin/gatepost", cwd=tmp_path).arguments[2:] == (str(path),)


def test_a_link_stays_a_link(tmp_path: Path, program: str) -> None:
    path = script(tmp_path / "1.0" / "gatepost", f"#!{sys.executable}", program)
    link = tmp_path / "gatepost"
    link.symlink_to(path)
    assert told(link) == Command(str(link), (str(link),))


def test_an_interpreter_that_was_named_stays(tmp_path: Path, program: str) -> None:
    other = script(tmp_path / "gatepost", "#!/usr/bin/python9", program)
    plain = script(tmp_path / "plain", f"#!{sys.executable}", program, 0o644)  # the kernel would not start it
    for path in (other, plain):
        found = told(sys.executable, "-B", path, "-q")
        assert found == Command(sys.executable, (sys.executable, "-B", str(path), "-q"))
        assert starts_the_same(found)


def test_a_module(tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = told(sys.executable, "-B", "-m", "package", "-m", "x")
    assert found == Command(sys.executable, (sys.executable, "-B", "-m", "package", "-m", "x"))
    assert starts_the_same(found)


@pytest.mark.parametrize("starts_itself", [True, False])
def test_a_zipapp(tmp_path: Path, program: str, starts_itself: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "__main__.py").write_text(program)
    target = tmp_path / "gatepost.pyz"
    zipapp.create_archive(source, target, interpreter=sys.executable if starts_itself else None)
    found = told(target, "-q") if starts_itself else told(sys.executable, target, "-q")
    words = (str(target), "-q")
    assert found == (
        Command(str(target), words) if starts_itself else Command(sys.executable, (sys.executable, *words))
    )
    assert starts_the_same(found)


def test_code_on_the_command_line() -> None:
    words = ["python3", "-c", "import gatepost", "-t"]
    assert command(words, ["-c", "-t"], PYTHON, "/") == Command(PYTHON, (PYTHON, "-c", "import gatepost", "-t"))


def test_an_interpreter_that_was_given_no_words() -> None:
    assert command([], ["gatepost", "-t"], PYTHON, "/") == Command(PYTHON, (PYTHON, "/gatepost", "-t"))
    assert command([], [], PYTHON, "/") == Command(PYTHON, (PYTHON,))


def test_a_directory_that_is_gone_harms_nobody_who_was_named_in_full(tmp_path: Path, program: str) -> None:
    path = script(tmp_path / "gatepost", f"#!{sys.executable}", program)
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = f"cd {gone} && rmdir {gone} && exec {path} -q"
    assert told("/bin/sh", "-c", shell) == Command(str(path), (str(path), "-q"))


def test_this_process_was_started_somehow() -> None:
    assert os.access(own_command().path, os.X_OK)
