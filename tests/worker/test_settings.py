"""Directives about workers, and those that mean nothing here."""

import grp
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.config.directive import EVENTS, MAIN, Scene, rows
from gatepost.errors import ConfigError
from gatepost.worker.settings import MAX_WORKERS, SETTINGS, USER, IgnoredSettings, User, WorkerSettings
from tests.reading import mistake, read


def test_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, "", *SETTINGS)[WorkerSettings]
    assert found == WorkerSettings(
        user=found.user,
        worker_processes=1,
        worker_connections=512,
        worker_rlimit_nofile=None,
        worker_rlimit_core=None,
        worker_shutdown_timeout=None,
        env=(),
        working_directory=None,
    )


def test_values(tmp_path: Path) -> None:
    text = """worker_processes 3; worker_rlimit_nofile 2048; worker_rlimit_core 64m; worker_shutdown_timeout 1m;
        env A; env B=c=d; env E=; working_directory /var/tmp;
        events { worker_connections 768; }"""
    found = read(tmp_path, text, *SETTINGS)[WorkerSettings]
    assert replace(found, user=None) == WorkerSettings(
        user=None,
        worker_processes=3,
        worker_connections=768,
        worker_rlimit_nofile=2048,
        worker_rlimit_core=67108864,
        worker_shutdown_timeout=60.0,
        env=(("A", None), ("B", "c=d"), ("E", "")),
        working_directory="/var/tmp",
    )


def test_a_worker_for_each_processor(tmp_path: Path) -> None:
    found = read(tmp_path, "worker_processes auto;", *SETTINGS)[WorkerSettings]
    assert found.worker_processes == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (f"worker_processes {word};", '"worker_processes" directive invalid value in :1')
            for word in ("0", "x", "-1", "AUTO", str(MAX_WORKERS + 1))
        ),
        ("worker_processes 1; worker_processes 1;", '"worker_processes" directive is duplicate in :1'),
        ("worker_connections 5;", '"worker_connections" directive is not allowed here in :1'),
        ("events { worker_connections x; }", 'invalid number "x" in :1'),
        ("events { worker_connections 0; }", 'invalid number "0" in :1'),
        ("worker_rlimit_nofile x;", '"worker_rlimit_nofile" directive invalid number in :1'),
        ("worker_rlimit_core 5x;", '"worker_rlimit_core" directive invalid value in :1'),
        ("worker_shutdown_timeout 5q;", '"worker_shutdown_timeout" directive invalid value in :1'),
        ("user;", 'invalid number of arguments in "user" directive in :1'),
        ("user a b c;", 'invalid number of arguments in "user" directive in :1'),
        ("env =a;", 'invalid variable name "=a" in :1'),
        ("env A B;", 'invalid number of arguments in "env" directive in :1'),
        ("use epoll;", '"use" directive is not allowed here in :1'),
        ("events { pcre_jit on; }", '"pcre_jit" directive is not allowed here in :1'),
        ("thread_pool;", 'invalid number of arguments in "thread_pool" directive in :1'),
        ("pcre_jit on off;", 'invalid number of arguments in "pcre_jit" directive in :1'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert mistake(tmp_path, text, *SETTINGS) == message


@pytest.mark.parametrize("name", list(rows(IgnoredSettings)))
def test_each_use_of_an_ignored_directive_is_a_warning(tmp_path: Path, name: str) -> None:
    row = rows(IgnoredSettings)[name]
    use = f"{name} a;\n{name} b;"
    text = f"events {{ {use} }}" if row.contexts is EVENTS else use
    assert row.contexts in (MAIN, EVENTS)
    warnings = read(tmp_path, text, *SETTINGS).warnings
    assert [warning.rpartition(":")[2] for warning in warnings] == ["1", "2"]
    assert all(warning.startswith(f'the "{name}" directive is ignored: ') for warning in warnings)


def test_distributions_modules_and_events(tmp_path: Path) -> None:
    text = """load_module modules/a.so; load_module modules/b.so; pcre_jit on; thread_pool default threads=32;
        worker_cpu_affinity auto 01; worker_priority -5; timer_resolution 100ms;
        events { use epoll; multi_accept on; accept_mutex off; accept_mutex_delay 500ms; }"""
    assert len(read(tmp_path, text, *SETTINGS).warnings) == 11


def _scene(heard: list[str]) -> Scene:
    return Scene("user", None, "/", "/", heard.append)


def test_a_user_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    own = pwd.getpwuid(os.getuid())
    group = grp.getgrgid(own.pw_gid).gr_name
    heard: list[str] = []
    assert USER.parse([own.pw_name, group], _scene(heard)) == User(own.pw_name, own.pw_uid, own.pw_gid)
    assert heard == []


def test_nobody_where_root_names_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    nobody = pwd.getpwnam("nobody")
    assert USER.parse([], _scene([])) == User("nobody", nobody.pw_uid, nobody.pw_gid)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-user"], 'getpwnam("no-such-user") failed'),
        (["\udcff"], 'getpwnam("\udcff") failed'),
        (["root", "no-such-group"], 'getgrnam("no-such-group") failed'),
    ],
)
def test_unknown_users_and_groups(monkeypatch: pytest.MonkeyPatch, words: list[str], message: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ConfigError) as caught:
        USER.parse(words, _scene([]))
    assert str(caught.value) == message


def test_a_user_means_nothing_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    heard: list[str] = []
    assert USER.parse([], _scene(heard)) is None
    assert heard == []
    assert USER.parse(["no-such-user"], _scene(heard)) is None
    assert heard == [
        'the "user" directive makes sense only if the master process runs with super-user privileges, ignored'
    ]
