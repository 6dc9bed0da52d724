"""A worker in front of a backend that echoes, and configurations."""

from pathlib import Path

from gatepost.assembly import load
from gatepost.config.build import Configuration, Installation
from tests.functional.line_client import LineClient
from tests.functional.scripted_backend import imap_login

SERVER = "proxy_pass 127.0.0.1:{backend}; server {{{{ listen 127.0.0.1:{{0}}; protocol imap; }}}}"
GREETING = b"* OK IMAP4 ready"


def echo(conversation: LineClient) -> None:
    """A backend that accepts every login and then repeats each line."""
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    while True:
        conversation.send(conversation.line() + b"\r\n")


def logged_in(port: int) -> LineClient:
    client = LineClient.plain(port)
    assert client.line() == GREETING
    client.send(b"a LOGIN u p\r\n")
    assert client.line() == b"a OK in"
    return client


def configure(tmp_path: Path, mail: str) -> Configuration:
    path = tmp_path / "gatepost.conf"
    path.write_text(f"mail {{ proxy_pass 127.0.0.1:143; {mail} }}")
    return load(Installation(str(path)))


def quiet(_text: str) -> None:
    """Nobody listens."""
