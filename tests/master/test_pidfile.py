"""The pid file: written, held, moved aside for a successor, and removed only by whom it belongs to."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.master.pidfile import OLD_SUFFIX, PidFile, owner, read

LIMIT_SECONDS = 30

MASTER = "from gatepost.master.pidfile import PidFile; file = PidFile(sys.argv[1]); file.write()"
READER = "import fcntl; file = open(sys.argv[1]); fcntl.lockf(file, fcntl.LOCK_SH)"


@contextlib.contextmanager
def another(path: Path, deed: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has done ``deed`` with the file, and lives until the end of the block."""
    code = f"import sys; {deed}; print('done', flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield process
        process.communicate(timeout=LIMIT_SECONDS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pid"


@pytest.fixture
def file(path: Path) -> Iterator[PidFile]:
    found = PidFile(str(path))
    yield found
    found.let_go()


def test_holds_our_process_id(path: Path, file: PidFile) -> None:
    file.check()
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert file.path == str(path)


def test_replaces_what_a_dead_process_left(path: Path, file: PidFile) -> None:
    path.write_text("999999999\nand more than one line\n")
    file.check()
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_live_process_that_does_not_hold_it_means_nothing(path: Path, file: PidFile) -> None:
    path.write_text(f"{os.getppid()}\n")  # its number was given to somebody else
    file.check()
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_the_file_of_a_running_master_is_left_alone(path: Path, file: PidFile) -> None:
    with another(path, MASTER) as master:
        text = path.read_text()
        for attempt in (file.check, file.write):
            with pytest.raises(ConfigError) as caught:
                attempt()
            assert str(caught.value) == f'"{path}" is the pid file of process {master.pid}, which is running'
        assert path.read_text() == text == f"{master.pid}\n"
        assert owner(str(path)) == master.pid
    assert owner(str(path)) is None  # it is dead, and left the file
    file.write()


def test_who_can_only_read_it_cannot_keep_it_from_us(path: Path, file: PidFile) -> None:
    path.write_text("1\n")
    with another(path, READER):
        assert owner(str(path)) is None
        file.check()
        file.write()
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_forked_child_has_no_part_in_it(path: Path) -> None:
    deed = f"import os; {MASTER}; pid = os.fork(); (pid == 0 and (file.let_go(), os._exit(0))); os.waitpid(pid, 0)"
    with another(path, deed) as master:
        assert owner(str(path)) == master.pid


def test_a_directory_that_does_not_exist_is_said(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "none" / "pid"))
    for make in (file.check, file.write):
        with pytest.raises(ConfigError, match=r'open\(\) ".*/none/pid" failed \(2: No such file or directory\)'):
            make()


def test_without_locks_the_number_has_to_do(path: Path, file: PidFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", unsupported)
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_remove_takes_our_own_away(path: Path, file: PidFile) -> None:
    file.remove()  # before there is one
    file.write()
    file.remove()
    assert not path.exists()
    file.remove()


def test_remove_leaves_what_is_not_ours(path: Path, file: PidFile) -> None:
    file.write()
    path.unlink()
    path.write_text("1\n")
    file.remove()
    assert path.read_text() == "1\n"


def test_it_makes_room_for_a_successor_and_goes_with_its_master(path: Path, file: PidFile) -> None:
    aside = Path(f"{path}{OLD_SUFFIX}")
    file.write()
    file.step_aside()
    assert not path.exists()
    assert aside.read_text() == f"{os.getpid()}\n"
    with another(path, MASTER) as successor:
        file.remove()
        assert not aside.exists()
        assert path.read_text() == f"{successor.pid}\n"


def test_it_is_taken_back_over_what_the_successor_left(path: Path, file: PidFile) -> None:
    file.write()
    file.step_aside()
    with another(path, MASTER) as successor:
        successor.kill()
    assert path.exists()
    file.take_back()
    assert path.read_text() == f"{os.getpid()}\n"
    assert not os.path.exists(f"{path}{OLD_SUFFIX}")
    file.remove()
    assert not path.exists()


def test_it_moves_and_takes_its_lock_along(path: Path, file: PidFile) -> None:
    file.write()
    elsewhere = path.with_name("elsewhere")
    file.move(f"{path.parent}/./{path.name}")
    assert path.exists()
    file.move(str(elsewhere))
    assert not path.exists()
    assert elsewhere.read_text() == f"{os.getpid()}\n"
    assert file.path == str(elsewhere)
    with another(path, MASTER), pytest.raises(ConfigError):
        file.move(str(path))  # another's: ours stays where it is
    assert file.path == str(elsewhere)
    file.remove()
    assert not elsewhere.exists()


def test_no_room_can_be_made_for_a_file_that_is_gone(path: Path, file: PidFile) -> None:
    file.write()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.step_aside()
    assert file.path == str(path)


@pytest.mark.parametrize(("content", "text"), [("12\n", "12"), ("12\r\n", "12"), ("", ""), ("x" * 40, "x" * 32)])
def test_read(path: Path, content: str, text: str) -> None:
    path.write_text(content)
    assert read(str(path)) == text
