"""Putting together what workers inherit: all of it, or nothing."""

import os
import socket
import time
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.log import Level, Log, Outputs, Sink
from gatepost.store.runtime import RuntimeDirectory
from gatepost.worker.heritage import Heritage, Lifeline, make

from .scene import configure, quiet


def log_of(outputs: Outputs, tmp_path: Path) -> Log:
    return outputs.log([Sink(f"{tmp_path}/main.log", Level.INFO)])


def close(heritage: Heritage) -> None:
    for listener in heritage.listeners:
        listener.remove()
    os.close(heritage.lifeline.read_fd)
    os.close(heritage.lifeline.write_fd)


def test_the_scoreboard_outlives_reloads_and_each_has_its_number(tmp_path: Path) -> None:
    configuration = configure(tmp_path, f"server {{ listen unix:{tmp_path}/a; protocol imap; }}")
    outputs = Outputs()
    log = log_of(outputs, tmp_path)
    first = make(configuration, outputs, log, quiet)
    second = make(configuration, outputs, log, quiet, previous=first)
    third = make(configuration, outputs, log, quiet, previous=second)
    assert [heritage.generation for heritage in (first, second, third)] == [0, 1, 2]
    assert first.scoreboard is second.scoreboard is third.scoreboard
    close(third)


def test_servers_log_where_they_say_and_else_to_the_main_log(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path,
        f"""server {{ listen unix:{tmp_path}/a; protocol imap; }}
        server {{ listen unix:{tmp_path}/b; protocol imap; error_log {tmp_path}/own.log debug; }}""",
    )
    outputs = Outputs()
    log = log_of(outputs, tmp_path)
    heritage = make(configuration, outputs, log, quiet, RuntimeDirectory())
    assert heritage.logs[0] is log
    heritage.logs[1].write(Level.DEBUG, "mine")
    assert (tmp_path / "own.log").read_text().endswith("mine\n")
    assert (tmp_path / "main.log").read_text() == ""
    close(heritage)


def test_listeners_accept_once_it_is_made(tmp_path: Path) -> None:
    configuration = configure(tmp_path, f"server {{ listen unix:{tmp_path}/a; protocol imap; }}")
    outputs = Outputs()
    heritage = make(configuration, outputs, log_of(outputs, tmp_path), quiet, RuntimeDirectory())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/a")
    close(heritage)
    assert not (tmp_path / "a").exists()


def test_a_log_that_cannot_be_opened_leaves_no_socket(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path, f"server {{ listen unix:{tmp_path}/a; protocol imap; error_log {tmp_path}/none/log; }}"
    )
    outputs = Outputs()
    with pytest.raises(ConfigError, match=r'open\(\) ".*/none/log" failed \(2: No such file or directory\)'):
        make(configuration, outputs, log_of(outputs, tmp_path), quiet, RuntimeDirectory())
    assert not (tmp_path / "a").exists()


def test_an_address_that_cannot_be_bound_closes_the_others(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path,
        f"""server {{ listen unix:{tmp_path}/a; protocol imap; }}
        server {{ listen unix:{tmp_path}/none/b; protocol imap; }}""",
    )
    outputs = Outputs()
    with pytest.raises(ConfigError, match=r"bind\(\) to unix:.*/none/b failed \(2: No such file or directory\) in"):
        make(configuration, outputs, log_of(outputs, tmp_path), quiet, RuntimeDirectory())
    assert not (tmp_path / "a").exists()


def test_the_lifeline_breaks_when_its_last_writing_end_closes() -> None:
    lifeline = Lifeline.make()
    os.set_blocking(lifeline.read_fd, False)
    with pytest.raises(BlockingIOError):
        os.read(lifeline.read_fd, 1)
    lifeline.keep_worker_end()
    assert os.read(lifeline.read_fd, 1) == b""
    os.close(lifeline.read_fd)


def test_zones_have_a_directory_and_only_they(tmp_path: Path, certificate: Path) -> None:
    keys = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    parents = (str(tmp_path),)
    outputs, log = Outputs(), log_of(Outputs(), tmp_path)
    without = configure(tmp_path, f"{keys} server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}")
    runtime = RuntimeDirectory(parents)
    close(make(without, outputs, log, quiet, runtime))
    assert runtime.path is None
    configuration = configure(
        tmp_path,
        f"""{keys} ssl_session_cache shared:SSL:1m;
        server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}
        server {{ listen unix:{tmp_path}/b ssl; protocol pop3; }}""",
    )
    heritage = make(configuration, outputs, log, quiet, runtime)
    close(heritage)
    assert runtime.path is not None
    assert os.listdir(runtime.path) == []  # workers make the files
    heritage.zones.attach(pytest.fail)
    table = heritage.zones.named("SSL", 1 << 20).table
    assert table is not None
    table.put(b"key", b"value", time.time() + 60)
    # The next configuration with the same zone finds what is in it.
    again = make(configuration, outputs, log, quiet, runtime)
    close(again)
    assert sorted(again.zones.files()) == sorted(os.listdir(runtime.path))
    runtime.remove()
    assert list(tmp_path.glob("gatepost-shared-*")) == []
