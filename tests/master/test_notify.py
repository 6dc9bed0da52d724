"""What goes to the service manager: the datagrams, and what happens when nobody takes them."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatepost.log import Level, Log, Outputs, Sink
from gatepost.master import notify
from gatepost.master.notify import MAX_STATUS_CHARACTERS, Notifier, forget, plain
from tests.functional.service_manager import ServiceManager


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Outputs().log([Sink(f"{tmp_path}/log", Level.INFO)])


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> "ServiceManager":
    address = f"{tmp_path}/notify" if request.param == "path" else f"@gatepost-test-{os.getpid()}-{time.time_ns()}"
    return ServiceManager(address)


def lines(tmp_path: Path) -> list[str]:
    return (tmp_path / "log").read_text().splitlines()


def test_each_message_in_its_form(manager: ServiceManager, log: Log) -> None:
    with manager:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address}, log)
        assert notifier.speaks
        before = time.monotonic_ns() // 1000
        notifier.ready("all is well")
        notifier.reloading()
        notifier.stopping("going")
        notifier.status("x")
        notifier.alive()
        notifier.main_pid(7)
        manager.wait_for(lambda message: "MAINPID" in message.values and "READY" not in message.values)
    said = [message.values for message in manager.messages]
    moment = int(said[1].pop("MONOTONIC_USEC"))
    assert before <= moment <= time.monotonic_ns() // 1000
    assert said == [
        {"READY": "1", "MAINPID": str(os.getpid()), "STATUS": "all is well"},
        {"RELOADING": "1", "STATUS": "reloading"},
        {"STOPPING": "1", "STATUS": "going"},
        {"STATUS": "x"},
        {"WATCHDOG": "1"},
        {"MAINPID": "7"},
    ]
    assert {message.pid for message in manager.messages} == {os.getpid()}


def test_a_status_is_one_line_whatever_is_in_it(manager: ServiceManager, log: Log) -> None:
    with manager:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address}, log)
        notifier.status("open() of\nMAINPID=1\r\x00\u2028 failed: \udcff" + "ü" * 5000)
        manager.wait_for(lambda message: "STATUS" in message.values)
    ((name, text),) = manager.messages[0].values.items()
    assert name == "STATUS"
    assert text == ("open() of MAINPID=1    failed:  " + "ü" * 5000)[:MAX_STATUS_CHARACTERS]


def test_plain_text_is_left_alone() -> None:
    assert plain('unknown directive "ü" in /etc/x.conf:3') == 'unknown directive "ü" in /etc/x.conf:3'


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": "5000000"}])
def test_without_a_socket_nobody_is_told(environment: dict[str, str], log: Log, tmp_path: Path) -> None:
    notifier = Notifier.from_environment(environment, log)
    notifier.ready("all is well")
    assert not notifier.speaks
    assert notifier.watchdog_seconds is None
    assert lines(tmp_path) == []


@pytest.mark.parametrize("name", ["relative/path", "@", "vsock:2:1234"])
def test_an_address_of_another_kind_is_passed_over(name: str, log: Log, tmp_path: Path) -> None:
    assert not Notifier.from_environment({"NOTIFY_SOCKET": name}, log).speaks
    (line,) = lines(tmp_path)
    assert "[warn]" in line
    assert "NOTIFY_SOCKET is neither a path nor an abstract address" in line


@pytest.mark.parametrize(
    ("text", "seconds"), [("30000000", 30.0), ("1", 0.000001), ("9" * 16, 9999999999.999999), ("", None)]
)
def test_the_watchdog_has_microseconds(text: str, seconds: float | None, log: Log, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": text}
    assert Notifier.from_environment(environment, log).watchdog_seconds == seconds
    assert lines(tmp_path) == []


@pytest.mark.parametrize("text", ["0", "-1", "1e6", "soon", "\u0663", "9" * 17, " 1"])
def test_a_watchdog_that_makes_no_sense_is_none(text: str, log: Log, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": text}
    assert Notifier.from_environment(environment, log).watchdog_seconds is None
    (line,) = lines(tmp_path)
    assert "WATCHDOG_USEC is not a number of microseconds" in line


def test_nobody_there_is_said_once_until_somebody_is(log: Log, tmp_path: Path) -> None:
    address = f"{tmp_path}/notify"
    notifier = Notifier(address, log)
    notifier.alive()
    notifier.alive()
    (line,) = lines(tmp_path)
    assert "sendto() to NOTIFY_SOCKET failed (2: No such file or directory)" in line
    with ServiceManager(address) as manager:
        notifier.alive()
        manager.wait_for(lambda message: message.says(WATCHDOG="1"))
    notifier.alive()
    assert "(111: Connection refused)" in lines(tmp_path)[-1]
    assert len(lines(tmp_path)) == 2


def test_a_path_that_is_too_long_is_no_error_of_ours(log: Log, tmp_path: Path) -> None:
    Notifier("/" + "x" * 200, log).alive()
    (line,) = lines(tmp_path)
    assert "sendto() to NOTIFY_SOCKET failed (AF_UNIX path too long)" in line


def test_a_full_queue_does_not_hold_it_up_for_ever(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "SEND_SECONDS", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(f"{tmp_path}/notify")
        notifier = Notifier(f"{tmp_path}/notify", log)
        for _ in range(10_000):  # far more than any queue of the kernel has
            notifier.status("x" * 1000)
            if lines(tmp_path):
                break
    (line,) = lines(tmp_path)
    assert "sendto() to NOTIFY_SOCKET failed (timed out)" in line


def test_workers_forget_whom_to_tell() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "TZ": "UTC"}
    forget(environment)
    forget(environment)
    assert environment == {"TZ": "UTC"}


def test_no_descriptor_stays_open(manager: ServiceManager) -> None:
    script = """
import os, sys
from gatepost.log import Outputs
from gatepost.master.notify import Notifier
notifier = Notifier.from_environment(os.environ, Outputs().log([]))
before = os.listdir("/proc/self/fd")
notifier.ready("")
print(before == os.listdir("/proc/self/fd"))
"""
    with manager:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "NOTIFY_SOCKET": manager.address},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stdout == "True\n"
        manager.wait_for(lambda message: message.says(READY="1"))
