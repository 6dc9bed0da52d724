"""The units and what comes with them: true of the program, and good in the eyes of systemd's own tools."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.assembly import load
from gatepost.cli.main import DEFAULT_FILE, DEFAULT_LOG, DEFAULT_PREFIX
from gatepost.cli.options import Options, parse
from gatepost.config.build import Configuration, Installation
from gatepost.master.loop import SIGNALS
from gatepost.master.pidfile import OLD_SUFFIX
from gatepost.master.settings import MasterSettings
from gatepost.net.bind_plan import plan

from .unit_file import PACKAGING, UnitFile

SYSTEMD = PACKAGING / "systemd"
SERVICE = UnitFile(SYSTEMD / "gatepost.service")
UNITS = sorted(path for path in SYSTEMD.iterdir() if path.suffix in (".service", ".socket"))
MANUAL = (PACKAGING.parent / "docs" / "systemd.md").read_text().replace("\\|", "|")  # as it is in a table
LIMIT_SECONDS = 60
MAX_EXPOSURE = 3.0  # of 10; the manual has the exact number, which differs a little between versions of systemd

analyzes = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")


def commands(name: str) -> list[list[str]]:
    return [shlex.split(value) for value in SERVICE.all("Service", name)]


def options() -> Options:
    """Those of the command that starts the service."""
    ((_, *arguments),) = commands("ExecStart")
    return parse(arguments)


def configuration(tmp_path: Path, text: str = "events {}") -> Configuration:
    """As the service would read ``text``."""
    path = tmp_path / "gatepost.conf"
    path.write_text(text)
    return load(Installation(str(path), DEFAULT_PREFIX), directives=options().directives)


def test_every_line_is_an_assignment_and_no_other_name_is_repeated() -> None:
    repeated = {name for name in SERVICE.names("Service") if len(SERVICE.all("Service", name)) > 1}
    assert repeated == {"ExecReload", "SystemCallFilter"}


def test_the_command_is_that_of_the_package() -> None:
    ((command, *_),) = commands("ExecStart")
    project = (PACKAGING.parent / "pyproject.toml").read_text()
    assert f'\n{os.path.basename(command)} = "gatepost.cli.main:main"' in project
    assert options().starts
    assert options().file is None
    assert DEFAULT_PREFIX + DEFAULT_FILE in MANUAL


def test_it_stays_in_the_foreground_and_its_pid_file_can_be_written(tmp_path: Path) -> None:
    settings = configuration(tmp_path)[MasterSettings]
    assert SERVICE.one("Service", "Type") == "notify"
    assert not settings.daemon
    assert os.path.dirname(settings.pid) == "/run/" + SERVICE.one("Service", "RuntimeDirectory")
    assert settings.pid == SERVICE.one("Service", "PIDFile")


def test_its_log_can_be_written() -> None:
    assert os.path.dirname(DEFAULT_LOG) == "/var/log/" + SERVICE.one("Service", "LogsDirectory")


def test_a_reload_tests_the_same_configuration_and_then_tells_the_master() -> None:
    (start,), (check, tell) = commands("ExecStart"), commands("ExecReload")
    assert check[0] == tell[0] == start[0]
    tested, told = parse(check[1:]), parse(tell[1:])
    assert tested.test
    assert tested.quiet
    # By its pid file, not $MAINPID: during an upgrade that is the old master, which ends.
    assert told.signal == "reload"
    same = {(options().file, each.directives) for each in (tested, told, options())}
    assert len(same) == 1


def test_it_is_ended_by_a_signal_that_ends_it() -> None:
    assert getattr(signal, SERVICE.one("Service", "KillSignal")) == signal.SIGTERM
    assert signal.SIGTERM in SIGNALS
    assert SERVICE.one("Service", "KillMode") == "control-group"  # there may be two masters
    assert SERVICE.one("Service", "NotifyAccess") == "main"


def test_the_sockets_are_those_of_a_configuration_that_is_written_the_same_way(tmp_path: Path) -> None:
    unit = UnitFile(SYSTEMD / "gatepost.socket")
    addresses = unit.all("Socket", "ListenStream")
    listen = " ".join(f"listen {address};" for address in addresses)
    binds = plan(
        configuration(tmp_path, f"mail {{ proxy_pass 127.0.0.1:9; server {{ {listen} protocol imap; }} }}").servers
    )
    assert [str(bind.address) for bind in binds] == list(addresses)
    assert {int(address.rpartition(":")[2]) for address in addresses} == {143, 993, 110, 995, 587, 465}
    # One socket for each family, here as there.
    assert unit.one("Socket", "BindIPv6Only") == "ipv6-only"
    assert all(bind.listen.ipv6only for bind in binds)


def test_the_workers_user_is_the_one_that_is_made() -> None:
    (line,) = (line for line in (SYSTEMD / "gatepost.sysusers").read_text().splitlines() if line[0] != "#")
    kind, name, *_ = shlex.split(line)
    assert kind == "u"
    assert f"user {name};" in MANUAL


def test_logs_are_rotated_where_they_are_and_by_the_signal_that_reopens_them() -> None:
    text = (PACKAGING / "logrotate" / "gatepost").read_text()
    assert re.search(rf"^{os.path.dirname(DEFAULT_LOG)}/\*\.log {{$", text, re.MULTILINE)
    (number,) = re.findall(r"kill -(\w+) ", text)
    assert getattr(signal, "SIG" + number) == signal.SIGUSR1
    assert signal.SIGUSR1 in SIGNALS
    pid_file = SERVICE.one("Service", "PIDFile")
    assert f"for file in {pid_file} {pid_file}{OLD_SUFFIX}; do" in text
    assert text.count("{") == text.count("}") == 1


@analyzes
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong(path: Path, tmp_path: Path) -> None:
    for unit in UNITS:
        # It wants to see the command, which is elsewhere here.
        command = Path(sys.executable).with_name("gatepost")
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/gatepost", str(command)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / path.name)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@analyzes
def test_what_stays_open_has_its_reason_in_the_manual() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--json=short", "--no-pager", str(SERVICE.path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    )
    found = json.loads(done.stdout)
    assert len(found) > 50
    silent = [row["name"] for row in found if not row["set"] and row["exposure"] and row["name"] not in MANUAL]
    assert silent == []


@analyzes
def test_the_exposure_is_low() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(SERVICE.path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    told = re.search(r"Overall exposure level for gatepost.service: ([\d.]+)", done.stdout)
    assert told, done.stdout + done.stderr
    assert float(told.group(1)) <= MAX_EXPOSURE
