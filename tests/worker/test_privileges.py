"""What a worker puts into force before it serves, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import os, resource, sys
from gatepost.assembly import load
from gatepost.config.build import Installation
from gatepost.errors import ConfigError
from gatepost.worker.privileges import settle
def settled():
    try:
        settle(load(Installation(sys.argv[1])), lambda text: print("alert:", text))
    except ConfigError as error:
        print(error)
"""


def run(tmp_path: Path, configuration: str, script: str) -> str:
    path = tmp_path / "gatepost.conf"
    path.write_text(configuration)
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "SECRET_OF_THE_MASTER": "x", "KEPT": "kept", "TZ": "UTC"},
    )
    return done.stdout


def test_the_environment_is_what_env_says(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        "env KEPT; env GIVEN=given; events {}",
        "settled(); print(sorted((name, value) for name, value in os.environ.items()))",
    )
    assert printed == "[('GIVEN', 'given'), ('KEPT', 'kept'), ('TZ', 'UTC')]\n"


def test_descriptors_are_limited(tmp_path: Path) -> None:
    printed = run(
        tmp_path, "worker_rlimit_nofile 100;", "settled(); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert printed == "(100, 100)\n"


def test_a_limit_that_is_not_granted_is_said_and_what_there_is_serves(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        "events {}\nworker_rlimit_nofile 9223372036854775807;",
        """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
settled()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
""",
    )
    assert printed.startswith("alert: setrlimit(RLIMIT_NOFILE, 9223372036854775807) failed (")
    assert printed.endswith(")\nTrue\n")


DUMPABLE = """
import ctypes
settled()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


@pytest.mark.parametrize(
    ("directive", "expected"),
    [("", "0"), ("worker_rlimit_core 0;", "0 0"), ("worker_rlimit_core 64k; user nobody nogroup;", "1 65536")],
)
def test_core_files_only_where_they_are_asked_for(tmp_path: Path, directive: str, expected: str) -> None:
    printed = run(tmp_path, directive + "events {}", DUMPABLE)
    assert printed.startswith(expected)


def test_the_working_directory_is_entered(tmp_path: Path) -> None:
    printed = run(tmp_path, f"working_directory {tmp_path};", "settled(); print(os.getcwd())")
    assert printed == f"{tmp_path}\n"


def test_a_missing_working_directory_is_an_error_with_its_line(tmp_path: Path) -> None:
    printed = run(tmp_path, f"working_directory {tmp_path}/none;", "settled()")
    assert (
        printed == f'chdir("{tmp_path}/none") failed (2: No such file or directory) in {tmp_path}/gatepost.conf:1\n'
    )


def test_root_becomes_the_user_for_good_and_anybody_else_stays(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        "user nobody nogroup;",
        """
before = os.getresuid(), os.getresgid()
settled()
try:
    os.setuid(0)
except PermissionError:
    print("not root")
import grp, pwd
uid, gid = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
expected = ((uid,) * 3, (gid,) * 3) if before[0][0] == 0 else before
print((os.getresuid(), os.getresgid()) == expected, 0 in os.getgroups())
""",
    )
    assert printed.startswith("not root\nTrue ")
    if os.geteuid() == 0:
        assert printed.endswith("False\n")
