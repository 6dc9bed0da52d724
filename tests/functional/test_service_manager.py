"""What a service manager hears from the daemon, from its start to its end: the protocol of sd_notify(3)."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.scene import GREETING, SERVER, echo, logged_in

from .gateway import Gateway, command, write_configuration
from .line_client import LineClient
from .ports import claim_port
from .process import alive, children
from .scripted_backend import ScriptedBackend
from .service_manager import Message, ServiceManager
from .upgrading import end, upgraded
from .waiting import LIMIT_SECONDS, wait_until

MAIL = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"
WATCHDOG_SECONDS = 0.2  # of the tests; operators take half a minute


@pytest.fixture
def manager(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    """Listens to every daemon that the test starts."""
    with ServiceManager(f"{open_path}/notify") as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", listening.address)
        yield listening


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(echo) as running:
        yield running


def ready(message: Message) -> bool:
    return message.says(READY="1")


def sessions_of(manager: ServiceManager, text: str, since: int = 0) -> int:
    """As ``wait_for``, for a status that begins so."""
    return manager.wait_for(lambda message: message.values.get("STATUS", "").startswith(text), since)


def test_from_the_start_to_the_end(open_path: Path, manager: ServiceManager) -> None:
    with Gateway(open_path, MAIL, workers=3) as gateway:
        heard = manager.wait_for(ready)
        first = manager.messages[heard - 1]
        assert first.values == {
            "READY": "1",
            "MAINPID": str(gateway.process.pid),
            "STATUS": "3 workers, 0 sessions (0 logging in)",
        }
        assert heard == 1
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING
        assert gateway.stop() == 0
        manager.wait_for(lambda message: message.says(STOPPING="1"), heard)
    assert {message.pid for message in manager.messages} == {gateway.process.pid}


def test_a_good_reload(open_path: Path, manager: ServiceManager) -> None:
    with Gateway(open_path, MAIL, workers=2) as gateway:
        heard = manager.wait_for(ready)
        before, moment = gateway.workers, time.monotonic_ns() // 1000
        gateway.process.signal(signal.SIGHUP)
        again = manager.wait_for(ready, heard)
        reloading, *_ = manager.messages[heard:]
        assert reloading.says(RELOADING="1")
        assert moment <= int(reloading.values["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert len(set(gateway.workers) - set(before)) == 2  # the new ones were there when it said so
        sessions_of(manager, "2 workers, 0 sessions", again - 1)  # the old ones may have been there still


def test_a_bad_reload_and_the_way_back(open_path: Path, manager: ServiceManager) -> None:
    with Gateway(open_path, MAIL) as gateway:
        heard = manager.wait_for(ready)
        path = open_path / "gatepost.conf"
        good = path.read_text()
        path.write_text("nonsense on;\n" + good)
        gateway.process.signal(signal.SIGHUP)
        heard = manager.wait_for(lambda message: message.says(RELOADING="1"), heard)
        heard = manager.wait_for(ready, heard)
        status = manager.messages[heard - 1].values["STATUS"]
        problem = f'the last reload failed: unknown directive "nonsense" in {path}:1'
        assert status == f"1 worker, 0 sessions (0 logging in); {problem}"
        path.write_text(good)
        gateway.process.signal(signal.SIGHUP)
        heard = manager.wait_for(ready, heard)
        assert "failed" not in manager.messages[heard - 1].values["STATUS"]


def test_the_status_counts_real_sessions(
    open_path: Path, manager: ServiceManager, backend: ScriptedBackend
) -> None:
    with (
        Gateway(open_path, SERVER.format(backend=backend.port), workers=2) as gateway,
        contextlib.ExitStack() as clients,
    ):
        for _ in range(3):
            clients.enter_context(logged_in(gateway.port))
        early = [clients.enter_context(LineClient.plain(gateway.port)) for _ in range(2)]
        assert [client.line() for client in early] == [GREETING] * 2
        heard = sessions_of(manager, "2 workers, 5 sessions (2 logging in)")
        for client in early:
            client.close()
        heard = sessions_of(manager, "2 workers, 3 sessions (0 logging in)", heard)
        gateway.process.signal(signal.SIGHUP)
        old = set(re.findall(r"\[info\] (\d+)#\d+: \*\d+ client logged in", gateway.log()))
        # Old workers without sessions may be gone already; those with some are not.
        sessions_of(manager, f"2 workers, 3 sessions (0 logging in), {len(old)} draining", heard)


def test_sessions_of_a_killed_worker_are_not_counted_for_ever(
    open_path: Path, manager: ServiceManager, backend: ScriptedBackend
) -> None:
    with (
        Gateway(open_path, SERVER.format(backend=backend.port)) as gateway,
        logged_in(gateway.port) as client,
    ):
        heard = sessions_of(manager, "1 worker, 1 session (0 logging in)")
        os.kill(gateway.workers[0], signal.SIGKILL)
        assert client.rest() == b""
        sessions_of(manager, "1 worker, 0 sessions (0 logging in)", heard)


def test_quit_is_an_end_that_takes_its_time(
    open_path: Path, manager: ServiceManager, backend: ScriptedBackend
) -> None:
    with (
        Gateway(open_path, SERVER.format(backend=backend.port)) as gateway,
        logged_in(gateway.port) as client,
    ):
        heard = sessions_of(manager, "1 worker, 1 session (0 logging in)")
        gateway.process.signal(signal.SIGQUIT)
        heard = manager.wait_for(lambda message: message.says(STOPPING="1"), heard)
        sessions_of(manager, "0 workers, 1 session (0 logging in), 1 draining", heard)
        client.close()
        assert gateway.process.wait() == 0


def test_signs_of_life(open_path: Path, manager: ServiceManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_SECONDS * 1e6)))
    with Gateway(open_path, MAIL, workers=2) as gateway:
        heard = manager.wait_for(ready)
        for _ in range(3):
            heard = manager.wait_for(lambda message: message.says(WATCHDOG="1"), heard)
        # A master that does not move gives none: that is what the watchdog is for.
        gateway.process.signal(signal.SIGSTOP)
        wait_until(lambda: stopped(gateway.process.pid), "the master to stand still")
        heard = len(manager.messages)
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING
        gateway.process.signal(signal.SIGCONT)
        manager.wait_for(lambda message: message.says(WATCHDOG="1"), heard)
    assert {message.pid for message in manager.messages} == {gateway.process.pid}


def stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def test_a_hung_worker_is_replaced_and_the_others_go_on(
    open_path: Path, manager: ServiceManager, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_SECONDS * 1e6)))
    with (
        Gateway(open_path, SERVER.format(backend=backend.port), workers=2) as gateway,
        logged_in(gateway.port) as client,
    ):
        hung = int(gateway.wait_for_log(r"\[info\] (\d+)#\d+: \*\d+ client logged in").group(1))
        (other,) = set(gateway.workers) - {hung}
        sessions_of(manager, "2 workers, 1 session")
        os.kill(hung, signal.SIGSTOP)
        gateway.wait_for_log(rf"\[alert\].*worker process {hung} has not moved for too long, killed")
        wait_until(lambda: len(gateway.workers) == 2 and hung not in gateway.workers, "a new worker")
        assert client.rest() == b""
        assert alive(other)  # it had no clients: nothing was expected of it
        assert gateway.process.status is None


def test_a_daemon_says_which_process_it_is(open_path: Path, manager: ServiceManager) -> None:
    port = claim_port()
    configuration = write_configuration(open_path, MAIL.format(port))
    configuration.write_text(configuration.read_text().replace("daemon off;", "daemon on;"))
    starter = subprocess.Popen(command(open_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert starter.wait(LIMIT_SECONDS) == 0
    heard = manager.wait_for(ready)
    master = int((open_path / "gatepost.pid").read_text())
    try:
        # The service manager believes the process that it has started, and then the one that this has named.
        named, announced = manager.messages[:heard]
        assert named == Message(starter.pid, {"MAINPID": str(master)})
        assert announced.pid == master
        assert announced.says(MAINPID=str(master))
    finally:
        workers = children(master)
        os.kill(master, signal.SIGTERM)
        wait_until(lambda: not any(map(alive, (master, *workers))), "the daemon to end")


def test_one_process_without_a_master_says_that_it_is_ready(open_path: Path, manager: ServiceManager) -> None:
    with Gateway(open_path, MAIL, main="master_process off;") as gateway:
        heard = manager.wait_for(ready)
        assert manager.messages[heard - 1].pid == gateway.process.pid


def test_workers_that_cannot_serve_are_not_called_ready(open_path: Path, manager: ServiceManager) -> None:
    write_configuration(open_path, MAIL.format(claim_port()), main=f"working_directory {open_path}/missing;")
    done = subprocess.run(command(open_path), capture_output=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 1
    assert not any("READY" in message.values for message in manager.messages)


def test_a_service_manager_that_is_not_there_is_no_reason_not_to_serve(
    open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"{open_path}/nobody")
    with Gateway(open_path, MAIL) as gateway, LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        gateway.wait_for_log(r"\[warn\].*sendto\(\) to NOTIFY_SOCKET failed \(2: No such file")


def test_an_upgrade_and_who_speaks_for_the_service(
    open_path: Path, manager: ServiceManager, backend: ScriptedBackend
) -> None:
    with (
        Gateway(open_path, SERVER.format(backend=backend.port)) as gateway,
        logged_in(gateway.port) as client,
    ):
        old = gateway.process.pid
        sessions_of(manager, "1 worker, 1 session")
        with upgraded(gateway) as new:
            os.kill(new, signal.SIGHUP)
            gateway.wait_for_log(rf"{new}#0: signal 1 \(SIGHUP\) received")
            gateway.process.signal(signal.SIGQUIT)
            # The service manager believes the main process alone, and that is the old one until it has ended.
            heard = sessions_of(manager, "0 workers, 1 session (0 logging in), 1 draining")
            assert manager.messages[heard - 1].values["STATUS"].endswith(f"; process {new} has taken over")
            assert {message.pid for message in manager.messages} == {old}
            client.close()
            assert gateway.process.wait() == 0
            heard = manager.wait_for(lambda message: message.pid == new and ready(message), heard)
            assert manager.messages[heard - 1].says(MAINPID=str(new))
            assert not any("STOPPING" in message.values for message in manager.messages)
            end(gateway, new)
            manager.wait_for(lambda message: message.pid == new and message.says(STOPPING="1"), heard)


def test_the_way_back_from_an_upgrade_is_not_the_end_of_the_service(
    open_path: Path, manager: ServiceManager
) -> None:
    with Gateway(open_path, MAIL) as gateway:
        heard = manager.wait_for(ready)
        with upgraded(gateway) as new:
            end(gateway, new, signal.SIGQUIT)
        gateway.wait_for_log(rf"new binary process {new} exited with code 0")
        gateway.process.signal(signal.SIGHUP)
        manager.wait_for(ready, heard)
        assert {message.pid for message in manager.messages} == {gateway.process.pid}
        assert not any("STOPPING" in message.values for message in manager.messages)
