"""A worker is told to end: who is there goes on until ``worker_shutdown_timeout``, and then hears why it ends."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .gateway import Gateway
from .line_client import LineClient
from .process import alive
from .scripted_backend import ScriptedBackend, imap_login
from .waiting import wait_until

PROTOCOLS = ("imap", "pop3", "smtp")
GREETINGS = {"imap": b"* OK IMAP4 ready", "pop3": b"+OK POP3 ready", "smtp": b"220 "}
LAST_WORDS = {
    "imap": b"* BYE Server shutting down",
    "pop3": b"-ERR [SYS/TEMP] server shutting down",
    "smtp": b"421 4.3.2 Server shutting down",
}
LOGIN = {
    "imap": (b"a LOGIN u secret", b"a OK in"),
    "pop3": (b"USER u\r\nPASS secret", b"+OK in"),
    "smtp": (b"EHLO me\r\nAUTH PLAIN AHUAc2VjcmV0", b"235 "),
}
HALF = {"imap": b"a AUTHENTICATE PLAIN", "pop3": b"AUTH PLAIN", "smtp": b"AUTH PLAIN"}


def imap(conversation: LineClient) -> None:
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    echo(conversation)


def pop3(conversation: LineClient) -> None:
    conversation.send(b"+OK\r\n")
    for answer in (b"+OK\r\n", b"+OK in\r\n"):
        conversation.line()
        conversation.send(answer)
    echo(conversation)


def smtp(conversation: LineClient) -> None:
    conversation.send(b"220 me\r\n")
    answers = {b"EHLO": b"250-me\r\n250 AUTH PLAIN", b"XCLI": b"220 me", b"AUTH": b"235 in"}
    while True:
        line = conversation.line()
        conversation.send(answers.get(line[:4], line) + b"\r\n")


def echo(conversation: LineClient) -> None:
    while True:
        conversation.send(conversation.line() + b"\r\n")


class Scene:
    """A gateway for all three protocols, each with its backend."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack, seconds: str) -> None:
        scripts = {"imap": imap, "pop3": pop3, "smtp": smtp}
        mail = ""
        for number, name in enumerate(PROTOCOLS):
            port = stack.enter_context(ScriptedBackend(scripts[name])).port
            mail += (
                f"server {{{{ listen 127.0.0.1:{{{number}}}; protocol {name}; proxy_pass 127.0.0.1:{port}; }}}} "
            )
        main = f"worker_shutdown_timeout {seconds};"
        self.gateway = stack.enter_context(Gateway(directory, mail, ports=len(PROTOCOLS), main=main))
        self._stack = stack

    def greeted(self, name: str) -> LineClient:
        client = self._stack.enter_context(LineClient.plain(self.gateway.ports[PROTOCOLS.index(name)]))
        assert client.line().startswith(GREETINGS[name])
        return client

    def logged_in(self, name: str) -> LineClient:
        client = self.greeted(name)
        command, answer = LOGIN[name]
        client.send(command + b"\r\n")
        client.upto(answer)
        return client

    def half_way(self, name: str) -> LineClient:
        """In the middle of a SASL exchange."""
        client = self.greeted(name)
        if name == "smtp":
            client.send(b"EHLO me\r\n")
            client.upto(b"250 ")
        client.send(HALF[name] + b"\r\n")
        assert client.line() in (b"+ ", b"334 ")
        return client


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("name", PROTOCOLS)
def test_at_the_end_everybody_hears_why(open_path: Path, stack: contextlib.ExitStack, name: str) -> None:
    scene = Scene(open_path, stack, "1s")
    clients = [scene.greeted(name), scene.half_way(name), *(scene.logged_in(name) for _ in range(30))]
    scene.gateway.process.signal(signal.SIGQUIT)
    scene.gateway.wait_for_log(r"\[notice\].*gracefully shutting down")
    clients[2].send(b"still here\r\n")
    assert clients[2].line() == b"still here"
    for client in clients:
        assert client.rest() == LAST_WORDS[name] + b"\r\n"
        client.close()
    assert scene.gateway.process.wait() == 0
    assert scene.gateway.log().count("shutdown timeout") == len(clients)


def test_a_reload_lets_the_old_worker_drain(open_path: Path, stack: contextlib.ExitStack) -> None:
    scene = Scene(open_path, stack, "500ms")
    (old,) = scene.gateway.workers
    clients = {name: scene.logged_in(name) for name in PROTOCOLS}
    scene.gateway.process.signal(signal.SIGHUP)
    for name, client in clients.items():
        assert client.rest() == LAST_WORDS[name] + b"\r\n"
        client.close()
    wait_until(lambda: not alive(old), "the old worker to end")
    scene.logged_in("imap")


def test_nobody_is_accepted_once_it_was_told(open_path: Path, stack: contextlib.ExitStack) -> None:
    scene = Scene(open_path, stack, "1h")
    (worker,) = scene.gateway.workers
    held = scene.logged_in("imap")
    scene.gateway.process.signal(signal.SIGQUIT)
    scene.gateway.wait_for_log(r"gracefully shutting down")
    with pytest.raises(ConnectionRefusedError):
        LineClient.plain(scene.gateway.ports[0])
    held.send(b"still here\r\n")
    assert held.line() == b"still here"
    held.close()
    wait_until(lambda: not alive(worker), "the worker to end with its last session")


def test_a_fast_stop_ends_the_draining(open_path: Path, stack: contextlib.ExitStack) -> None:
    scene = Scene(open_path, stack, "1h")
    held = scene.logged_in("imap")
    scene.gateway.process.signal(signal.SIGQUIT)
    scene.gateway.wait_for_log(r"gracefully shutting down")
    scene.gateway.process.signal(signal.SIGTERM)
    assert held.rest() == b""
    assert scene.gateway.process.wait() == 0
