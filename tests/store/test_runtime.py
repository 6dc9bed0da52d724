import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.store.runtime import PREFIX, RuntimeDirectory, remove_stale


def made(*parents: Path, owner: int | None = None, space: int = 0) -> tuple[RuntimeDirectory, Path]:
    runtime = RuntimeDirectory([str(parent) for parent in parents])
    runtime.make(owner, space)
    assert runtime.path is not None
    return runtime, Path(runtime.path)


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    runtime = RuntimeDirectory([str(tmp_path)])
    assert runtime.path is None
    runtime.prune([])
    runtime.remove()
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_can_enter_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        runtime, path = made(tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    runtime.make(None, 0)
    assert runtime.path == str(path)  # once
    assert runtime.file("x") == f"{path}/x"
    runtime.remove()


def test_root_gives_it_to_the_workers_user(tmp_path: Path) -> None:
    wanted = 65534 if os.geteuid() == 0 else os.geteuid()
    runtime, path = made(tmp_path, owner=wanted)
    assert path.stat().st_uid == wanted
    runtime.remove()


def test_it_is_removed_with_what_is_in_it(tmp_path: Path) -> None:
    runtime, path = made(tmp_path)
    (path / "zone").write_bytes(b"secret")
    (path / "zone-lock").write_bytes(b"")
    runtime.remove()
    runtime.remove()
    assert list(tmp_path.iterdir()) == []


def test_prune_removes_what_is_not_named(tmp_path: Path) -> None:
    runtime, path = made(tmp_path)
    for name in ("a", "b", "c"):
        (path / name).touch()
    runtime.prune(["b", "none"])
    assert [found.name for found in path.iterdir()] == ["b"]
    runtime.remove()


def test_prune_does_not_follow_a_link_that_was_put_in_its_place(tmp_path: Path) -> None:
    """The workers own the directory. A worker that was taken over must not make root remove what it likes."""
    runtime, path = made(tmp_path)
    (path / "zone").touch()
    others = tmp_path / "others"
    others.mkdir()
    (others / "precious").touch()
    moved = tmp_path / "moved"
    path.rename(moved)
    path.symlink_to(others)
    runtime.prune([])
    assert [found.name for found in others.iterdir()] == ["precious"]
    assert list(moved.iterdir()) == []
    runtime.remove()
    assert [found.name for found in others.iterdir()] == ["precious"]


def test_what_a_dead_master_left_is_removed_and_what_is_used_is_not(tmp_path: Path) -> None:
    code = f"""
import os
from gatepost.store.runtime import RuntimeDirectory
runtime = RuntimeDirectory([{str(tmp_path)!r}])
runtime.make(None, 0)
open(runtime.file("zone"), "w").close()
if os.fork():
    os._exit(0)
print(runtime.path, flush=True)  # the worker lives on
input()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as master:
        assert master.stdout is not None
        assert master.stdin is not None
        left = Path(master.stdout.readline().strip())
        assert master.wait(30) == 0
        remove_stale(str(tmp_path))
        assert (left / "zone").exists()
        master.stdin.close()  # the orphan ends
        assert master.stdout.read() == ""
    runtime, path = made(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    runtime.remove()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / f"{PREFIX}link").symlink_to(elsewhere)
    (parent / f"{PREFIX}file").touch()
    (parent / "gatepost-other").mkdir()
    deep = parent / f"{PREFIX}deep" / "inner"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    remove_stale(str(parent))
    assert sorted(str(path.relative_to(parent)) for path in parent.rglob("*")) == [
        "gatepost-other",
        f"{PREFIX}deep",
        f"{PREFIX}deep/inner",
        f"{PREFIX}deep/inner/file",
        f"{PREFIX}file",
        f"{PREFIX}link",
    ]
    assert (elsewhere / "file").exists()


def test_a_directory_that_another_holds_is_locked(tmp_path: Path) -> None:
    runtime, path = made(tmp_path)
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    runtime.remove()


def test_the_next_parent_is_taken_where_one_cannot_be_used_or_has_no_space(tmp_path: Path) -> None:
    runtime, path = made(tmp_path / "missing", tmp_path)
    assert path.parent == tmp_path
    runtime.remove()
    runtime, path = made(tmp_path, space=1 << 62)
    assert path.parent == tmp_path  # nowhere is so much, so the first will do
    runtime.remove()


def test_no_parent_will_do(tmp_path: Path) -> None:
    runtime = RuntimeDirectory([f"{tmp_path}/a", f"{tmp_path}/b"])
    with pytest.raises(ConfigError) as caught:
        runtime.make(None, 0)
    assert str(caught.value) == (
        f"mkdir() of a runtime directory in {tmp_path}/a, {tmp_path}/b failed (2: No such file or directory)"
    )


def shared(path: Path, owner: int | None = None) -> tuple[RuntimeDirectory, Path]:
    """What a master makes that a master with the directory ``path`` has started."""
    runtime = RuntimeDirectory([str(path.parent)], str(path))
    runtime.make(owner, 0)
    assert runtime.path is not None
    return runtime, Path(runtime.path)


@pytest.mark.parametrize("successor_first", [True, False])
def test_two_masters_share_it_and_the_last_one_removes_it(tmp_path: Path, successor_first: bool) -> None:
    first, path = made(tmp_path)
    (path / "zone").touch()
    second, same = shared(path)
    assert same == path
    for runtime in (second, first) if successor_first else (first, second):
        assert (path / "zone").exists()
        remove_stale(str(tmp_path))
        assert (path / "zone").exists()
        runtime.remove()
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_shared_before_it_is_needed(tmp_path: Path) -> None:
    first, path = made(tmp_path)
    second = RuntimeDirectory([str(tmp_path)], str(path))
    assert second.path is None
    first.remove()
    assert list(tmp_path.iterdir()) == []
    second.make(None, 0)  # too late: it gets one of its own
    assert second.path is not None
    assert second.path != str(path)
    second.remove()


def test_what_cannot_be_shared_is_left_alone(tmp_path: Path) -> None:
    first, path = made(tmp_path)
    others = tmp_path / f"{PREFIX}others"
    others.mkdir(mode=0o755)
    foreign = tmp_path / "precious"
    foreign.mkdir(mode=0o700)
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(path)
    for heirloom in (others, foreign, link, tmp_path / f"{PREFIX}gone"):
        second, own = shared(heirloom)
        assert own not in (heirloom, path)
        second.remove()
    assert foreign.exists()
    first.remove()


def test_it_is_not_shared_with_workers_of_another_user(tmp_path: Path) -> None:
    first, path = made(tmp_path, owner=65534)
    second, own = shared(path, owner=65533)
    assert (own != path) is (os.geteuid() == 0)  # only root can give a directory away
    second.remove()
    third, same = shared(path, owner=65534)
    assert same == path
    third.remove()
    first.remove()


def test_one_that_is_gone_or_of_another_user_is_made_anew(tmp_path: Path) -> None:
    directory, path = made(tmp_path, owner=65534)
    (path / "zone").touch()
    directory.make(65534, 0)
    assert directory.path == str(path)
    if os.geteuid() == 0:  # only root can give a directory away
        directory.make(65533, 0)
        assert path.exists()  # until the new configuration is in force
        other, path = path, Path(str(directory.path))
        assert path.stat().st_uid == 65533
        directory.prune(())
        assert not other.exists()
    path.rename(tmp_path / "moved")
    directory.make(65533 if os.geteuid() == 0 else 65534, 0)
    assert directory.path != str(path)
    assert Path(str(directory.path)).exists()
    directory.remove()
    assert os.listdir(tmp_path) == ["moved"]
