"""A binary upgrade from outside: both masters, both ways to end it, and what can go wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.address import Address
from gatepost.master.upgrade import VARIABLE, Inheritance, receive
from tests.functional.gateway import Gateway, write_configuration
from tests.functional.line_client import LineClient
from tests.functional.process import alive, children
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.upgrading import end, old_pid_file, pid_file, pid_in, upgraded
from tests.functional.waiting import LIMIT_SECONDS, wait_until
from tests.worker.scene import GREETING, SERVER, echo, logged_in

MAIL = "proxy_pass 127.0.0.1:9; server {{ listen 127.0.0.1:{0}; protocol imap; }}"
REFUSED = (
    r"\[crit\] {}#0: the changing binary signal is ignored: "
    "you should shutdown or terminate before either old or new binary's process"
)


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(echo) as running:
        yield running


@pytest.fixture
def gateway(open_path: Path, backend: ScriptedBackend) -> Iterator[Gateway]:
    with Gateway(open_path, SERVER.format(backend=backend.port), workers=2) as running:
        yield running


def greeted(port: int) -> bool:
    with LineClient.plain(port) as client:
        return client.line() == GREETING


def serves(gateway: Gateway, master: int) -> bool:
    """Whether a new client came to a worker of ``master``."""
    with LineClient.plain(gateway.port) as client:
        assert client.line() == GREETING
        lines = [line for line in gateway.log().splitlines() if "connected to" in line]
        return any(f" {pid}#0: " in lines[-1] for pid in children(master))


def listeners(master: int) -> int:
    """How many listening TCP sockets a process has."""
    with open(f"/proc/{master}/net/tcp", encoding="ascii") as file:
        listening = {line.split()[9] for line in file if line.split()[3] == "0A"}
    names = [f"/proc/{master}/fd/{name}" for name in os.listdir(f"/proc/{master}/fd")]
    inodes = [os.readlink(name).removeprefix("socket:[").rstrip("]") for name in names if os.path.exists(name)]
    return sum(inode in listening for inode in inodes)


def still_there(client: LineClient) -> None:
    client.send(b"not cut\r\n")
    assert client.line() == b"not cut"


# The way forward


def test_both_serve_and_the_old_one_finishes_its_sessions(gateway: Gateway) -> None:
    old = gateway.process.pid
    with logged_in(gateway.port) as client, upgraded(gateway) as new:
        assert pid_in(old_pid_file(gateway)) == old
        assert len(gateway.workers) == 2
        wait_until(lambda: serves(gateway, new), "a client to come to the new master's workers")
        wait_until(lambda: serves(gateway, old), "a client to come to the old master's workers")
        gateway.process.signal(signal.SIGQUIT)
        wait_until(lambda: len(gateway.workers) == 1, "the old worker without sessions to end")
        wait_until(lambda: serves(gateway, new), "the one with a session to accept no more")
        still_there(client)
        assert alive(old)
        client.close()
        assert gateway.process.wait() == 0
        assert not old_pid_file(gateway).exists()
        assert pid_in(pid_file(gateway)) == new
        assert greeted(gateway.port)
        end(gateway, new)
    assert not pid_file(gateway).exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", gateway.port)) != 0


def test_a_fast_end_of_the_old_one_refuses_nobody(gateway: Gateway) -> None:
    with upgraded(gateway) as new:
        gateway.process.signal(signal.SIGTERM)
        assert gateway.process.wait() == 0
        assert serves(gateway, new)
        assert pid_in(pid_file(gateway)) == new


def test_the_new_one_can_be_upgraded_when_the_old_one_is_gone(gateway: Gateway) -> None:
    with upgraded(gateway) as second:
        gateway.process.signal(signal.SIGQUIT)
        assert gateway.process.wait() == 0
        with upgraded(gateway, second) as third:
            assert pid_in(old_pid_file(gateway)) == second
            end(gateway, second, signal.SIGQUIT)
            assert serves(gateway, third)
            assert pid_in(pid_file(gateway)) == third


def test_the_new_program_has_the_new_configuration(gateway: Gateway, backend: ScriptedBackend) -> None:
    mail = f"proxy_pass 127.0.0.1:{backend.port}; imap_capabilities NEW;"
    mail += f"server {{ listen 127.0.0.1:{gateway.port}; protocol imap; }}"
    write_configuration(gateway.directory, mail, workers=2)
    with upgraded(gateway) as new:
        gateway.process.signal(signal.SIGQUIT)
        assert gateway.process.wait() == 0
        with LineClient.plain(gateway.port) as client:
            assert client.line() == GREETING
            client.send(b"a CAPABILITY\r\n")
            assert client.line() == b"* CAPABILITY NEW AUTH=PLAIN"
        assert alive(new)


def test_while_there_are_two_neither_has_a_socket_that_the_other_has_not(
    gateway: Gateway, backend: ScriptedBackend
) -> None:
    assert listeners(gateway.process.pid) == 2  # one for each worker
    mail = SERVER.format(backend=backend.port).format(gateway.port)
    write_configuration(gateway.directory, mail, workers=4)
    gateway.count = 4
    with upgraded(gateway) as new:
        assert listeners(new) == 2
        for master in (new, gateway.process.pid):
            before = set(children(master))
            os.kill(master, signal.SIGHUP)
            wait_until(lambda: len(set(children(master)) - before) == 4, "four new workers")  # noqa: B023 - at once
            assert listeners(master) == 2
        gateway.process.signal(signal.SIGQUIT)
        assert gateway.process.wait() == 0
        os.kill(new, signal.SIGHUP)
        wait_until(lambda: listeners(new) == 4, "a socket for each worker")


# The way back


def test_rest_and_back_while_the_new_one_runs(gateway: Gateway) -> None:
    with logged_in(gateway.port) as client, upgraded(gateway) as new:
        gateway.process.signal(signal.SIGWINCH)
        gateway.wait_for_log(r"signal 28 \(SIGWINCH\) received from \d+, stop accepting connections")
        wait_until(lambda: len(gateway.workers) == 1, "the worker without sessions to end")
        wait_until(lambda: serves(gateway, new), "the one with a session to accept no more")
        still_there(client)
        # What the file says now is for the new program, and of no use to the old one.
        (gateway.directory / "gatepost.conf").write_text("word of the future;")
        gateway.process.signal(signal.SIGHUP)
        gateway.wait_for_log(r"signal 1 \(SIGHUP\) received from \d+, starting workers with the configuration")
        wait_until(lambda: len(gateway.workers) == 3, "two workers beside the one that drains")
        still_there(client)
        end(gateway, new, signal.SIGQUIT)
        wait_until(lambda: pid_in(pid_file(gateway)) == gateway.process.pid, "the pid file to be taken back")
        assert not old_pid_file(gateway).exists()
        assert serves(gateway, gateway.process.pid)
        still_there(client)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told", "killed"])
def test_workers_that_rest_come_back_when_the_new_one_ends(gateway: Gateway, number: signal.Signals) -> None:
    with upgraded(gateway) as new:
        gateway.process.signal(signal.SIGWINCH)
        wait_until(lambda: not gateway.workers, "the old workers to end")
        end(gateway, new, number)
        wait_until(lambda: len(gateway.workers) == 2, "the old workers to come back")
        how = "exited with code 0" if number == signal.SIGTERM else "exited on signal 9"
        gateway.wait_for_log(f"new binary process {new} {how}")
        assert pid_in(pid_file(gateway)) == gateway.process.pid
        assert greeted(gateway.port)
    with upgraded(gateway):  # and it can be tried again
        assert greeted(gateway.port)


# Refusals and failures


def test_one_at_a_time(gateway: Gateway) -> None:
    with upgraded(gateway) as new:
        gateway.process.signal(signal.SIGUSR2)
        gateway.wait_for_log(REFUSED.format(gateway.process.pid))
        os.kill(new, signal.SIGUSR2)
        gateway.wait_for_log(REFUSED.format(new))
        assert greeted(gateway.port)
        assert pid_in(pid_file(gateway)) == new
        assert pid_in(old_pid_file(gateway)) == gateway.process.pid


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        ("nonsense;", r'\[emerg\].*unknown directive "nonsense" in .*gatepost\.conf:\d+'),
        (
            "ssl_certificate none.pem; ssl_certificate_key none.key; proxy_pass 127.0.0.1:9; "
            "server { listen 127.0.0.1:1 ssl; protocol imap; }",
            r'\[emerg\].*cannot load certificate ".*none\.pem"',
        ),
    ],
)
def test_a_new_one_that_cannot_start_changes_nothing(gateway: Gateway, mail: str, why: str) -> None:
    before = gateway.workers
    with logged_in(gateway.port) as client:
        write_configuration(gateway.directory, mail, workers=2)
        gateway.process.signal(signal.SIGUSR2)
        gateway.wait_for_log(r"\[alert\] \d+#0: new binary process \d+ exited with code 1")
        gateway.wait_for_log(why)
        wait_until(lambda: pid_in(pid_file(gateway)) == gateway.process.pid, "the pid file to be taken back")
        assert not old_pid_file(gateway).exists()
        assert gateway.workers == before
        still_there(client)
        assert greeted(gateway.port)


def test_without_room_for_its_pid_file_it_does_not_begin(gateway: Gateway) -> None:
    pid_file(gateway).unlink()
    gateway.process.signal(signal.SIGUSR2)
    gateway.wait_for_log(r'\[alert\].*rename\(\) ".*gatepost\.pid" failed \(2: .*, the binary is not changed')
    assert len(gateway.workers) == 2
    assert greeted(gateway.port)


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM])
def test_one_that_ends_starts_no_successor(gateway: Gateway, number: signal.Signals) -> None:
    with logged_in(gateway.port):
        gateway.process.signal(signal.SIGQUIT)
        gateway.wait_for_log("SIGQUIT")
        for late in (signal.SIGUSR2, signal.SIGWINCH):
            gateway.process.signal(late)
            gateway.wait_for_log(rf"signal \d+ \({late.name}\) received from \d+, ignored: exiting")
        gateway.process.signal(number)
    assert gateway.process.wait() == 0
    assert "changing binary" not in gateway.log()


# What both use


@pytest.mark.parametrize("leaves", ["old", "new"])
def test_unix_sockets_stay_as_long_as_one_serves(open_path: Path, backend: ScriptedBackend, leaves: str) -> None:
    path = open_path / "imap"
    mail = f"proxy_pass 127.0.0.1:{backend.port}; server {{{{ listen unix:{path}; protocol imap; }}}}"
    with Gateway(open_path, mail) as gateway, LineClient.unix(path) as client, upgraded(gateway) as new:
        assert client.line() == GREETING
        if leaves == "old":
            gateway.process.signal(signal.SIGTERM)
            assert gateway.process.wait() == 0
        else:
            end(gateway, new)
        with LineClient.unix(path) as another:
            assert another.line() == GREETING
        if leaves == "old":
            end(gateway, new)
        else:
            assert gateway.stop() == 0
        assert not path.exists()


def test_a_reload_of_the_new_one_takes_no_unix_socket_from_the_old_one(open_path: Path) -> None:
    path = open_path / "imap"
    mail = f"proxy_pass 127.0.0.1:9; server {{{{ listen unix:{path}; listen 127.0.0.1:{{0}}; protocol imap; }}}}"
    with Gateway(open_path, mail) as gateway, upgraded(gateway) as new:
        write_configuration(open_path, MAIL.format(gateway.port))
        before = children(new)
        os.kill(new, signal.SIGHUP)
        wait_until(lambda: not set(before) & set(children(new)), "the new master's workers to be replaced")
        with LineClient.unix(path) as client:
            assert client.line() == GREETING


# What is received


def received(environment: dict[str, str]) -> tuple[Inheritance, list[str]]:
    heard: list[str] = []
    found = receive(environment, heard.append)
    return found, heard


def listening() -> tuple[int, Address]:
    """The descriptor of a listening socket, as a process has it after exec, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return os.dup(sock.fileno()), Address(socket.AF_INET, *sock.getsockname())


def test_nothing_is_inherited_by_an_ordinary_start() -> None:
    environment = {"PATH": "/bin"}
    assert received(environment) == (Inheritance(), [])
    assert environment == {"PATH": "/bin"}


def test_what_a_master_tells_its_successor() -> None:
    (fd, address), (lent, other) = listening(), listening()
    told = {"sockets": [fd], "lent": [lent], "runtime": "/dev/shm/x", "master": 7, "of a later version": [1]}
    environment = {VARIABLE: json.dumps(told), "NGINX": "0;", "LISTEN_FDS": "1"}
    found, heard = received(environment)
    assert environment == {}
    assert heard == []
    assert [(bound.address, bound.lent) for bound in found.sockets] == [(address, False), (other, True)]
    assert (found.predecessor, found.runtime, found.succeeds) == (7, "/dev/shm/x", True)
    for bound in found.sockets:
        bound.socket.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"sockets": 7, "lent": [], "runtime": null, "master": 1}',
        '{"sockets": ["x"], "lent": [], "runtime": null, "master": 1}',
        '{"sockets": [], "lent": [], "runtime": 7, "master": 1}',
        '{"sockets": [], "lent": [], "runtime": null, "master": null}',
    ],
)
def test_what_cannot_be_understood_is_said(text: str) -> None:
    environment = {VARIABLE: text}
    assert received(environment) == (
        Inheritance(),
        ["what the environment says in GATEPOST cannot be understood"],
    )
    assert environment == {}


def test_what_nginx_tells() -> None:
    fd, address = listening()
    found, heard = received({"NGINX": f"{fd};"})
    assert heard == []
    assert [bound.address for bound in found.sockets] == [address]
    assert found.succeeds
    assert found.predecessor is None  # whoever runs the tests is no nginx
    found.sockets[0].socket.close()


def test_what_systemd_tells_makes_no_successor() -> None:
    found, heard = received({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"})
    assert (found, heard) == (Inheritance(), [])


# Exec, in a process of its own: the test runner has threads, and threads and fork do not mix


def run(script: str) -> str:
    prelude = "import os, signal, sys; from gatepost.master.upgrade import execute, Command\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        [sys.executable, "-c", prelude + script],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
        env=environment,
    )
    return done.stdout


def test_a_program_that_is_not_there_is_an_error_here() -> None:
    printed = run("""
try:
    execute(Command("/none/gatepost", ("gatepost",)), {}, [])
except OSError as error:
    print(error)
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no child is left")
""")
    assert printed == "[Errno 2] No such file or directory\nno child is left\n"


def test_it_gets_the_descriptors_that_are_named_and_no_blocked_signals() -> None:
    printed = run("""
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
given, kept = os.open("/", os.O_RDONLY), os.open("/", os.O_RDONLY)
code = "import os, signal, sys; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), os.environ['X'])\\n"
code += "for fd in map(int, sys.argv[1:]):\\n    print(os.path.exists(f'/proc/self/fd/{fd}'))"
command = Command(sys.executable, (sys.executable, "-c", code, str(given), str(kept)))
pid = execute(command, {"X": "y"}, [given])
os.waitpid(pid, 0)
print(os.get_inheritable(given))
""")
    assert printed == "set() y\nTrue\nFalse\nFalse\n"
