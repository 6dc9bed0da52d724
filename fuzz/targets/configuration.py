"""Configuration files: words, statements, includes, values and checks, as far as nothing is opened or bound.

What parsing may ask of the machine is kept inside: files are those that the input brings, names are not looked up.
"""

import contextlib
import fnmatch
import glob
import os
import socket
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

from fuzz.target import CURTAIN, Target
from gatepost.assembly import groups
from gatepost.auth import authenticator
from gatepost.config.build import Configuration, Installation, build
from gatepost.config.directive import rows
from gatepost.config.lexer import MAX_WORD_BYTES
from gatepost.config.parser import BlockEnd, Parser, Statement
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError
from gatepost.net.bind_plan import plan
from gatepost.net.room import Room
from gatepost.protocol import protocol_of
from gatepost.protocol.events import Send
from gatepost.tls import passwords

MAIN, INCLUDED, PASSWORDS = "/conf/gatepost.conf", "/conf/more.conf", "/conf/passwords"
MAX_ADDRESSES = 2048  # a port range is the operator's own doing; planning sockets for millions takes its time


def run(data: bytes) -> None:
    pieces = data.split(CURTAIN)
    files = dict(zip((MAIN, INCLUDED, PASSWORDS), pieces, strict=False))
    check_words(files)
    try:
        configuration = read(files)
    except ConfigError as error:
        check_mistake(error, files)
        return
    if sum(map(len, _listened(configuration))) <= MAX_ADDRESSES:
        check(configuration)


def read(files: Mapping[str, bytes]) -> Configuration:
    with sealed(files):
        return build(_parser(files), groups(), Installation(MAIN, "/prefix"), _heard)


class Sealed(Parser):
    """Knows the files of the input only."""

    sources: Mapping[str, bytes]

    def _read(self, path: str, where: Any) -> tuple[bytes, tuple[int, int]]:
        found = self.sources.get(os.path.normpath(path) if "\0" not in path else path)
        if found is None:
            raise ConfigError(f'open() "{path}" failed (2: No such file or directory)', where)
        return found, (0, sorted(self.sources).index(os.path.normpath(path)))


def _parser(files: Mapping[str, bytes]) -> Sealed:
    parser = Sealed(os.path.dirname(MAIN))
    parser.sources = files
    parser.add_file(MAIN)
    return parser


@contextlib.contextmanager
def sealed(files: Mapping[str, bytes]) -> Iterator[None]:
    """While an input is read, nothing of this machine is: neither its files nor its names."""
    look_up = socket.getaddrinfo

    def numeric(host: Any, port: Any, *, flags: int = 0, **named: Any) -> Any:
        return look_up(host, port, flags=flags | socket.AI_NUMERICHOST, **named)

    def matching(pattern: str) -> list[str]:
        return fnmatch.filter(files, os.path.normpath(pattern))

    def opened(path: str, _flags: int) -> int:
        found = files.get(os.path.normpath(path))
        if found is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        fd = os.memfd_create("input", os.MFD_CLOEXEC)
        os.pwrite(fd, found, 0)
        return fd

    with (
        mock.patch.object(socket, "getaddrinfo", numeric),
        mock.patch.object(glob, "glob", matching),
        mock.patch.object(passwords, "os", SimpleNamespace(**{**vars(os), "open": opened})),
    ):
        yield


def _heard(message: str) -> None:
    assert " in " in message, "a warning names its place"


def _listened(configuration: Configuration) -> Iterator[tuple[Any, ...]]:
    for server in configuration.servers:
        for listen in server[ListenSettings].listen:
            yield listen.addresses


def check_mistake(error: ConfigError, files: Mapping[str, bytes]) -> None:
    """It names a line that exists; a password of the input is not in it."""
    assert error.message
    if error.where is not None and error.where.file in files:
        assert 1 <= error.where.line <= files[error.where.file].count(b"\n") + 1
    assert str(error)


def check(configuration: Configuration) -> None:
    """What is accepted can be used: sockets planned, services made, clients greeted."""
    binds = plan(configuration.servers)
    assert len({(bind.address.family, bind.address.host, bind.address.port) for bind in binds}) == len(binds)
    for bind in binds:
        server = configuration.servers[bind.fallback.server]
        protocol = protocol_of(server)
        authenticator(server, protocol, Room()).close()
        client = protocol.serve(server).client(tls=False, address=bind.address)
        effects = client.start()
        greeting = b"".join(effect.data for effect in effects if isinstance(effect, Send))
        assert greeting.count(b"\n") == greeting.count(b"\r\n") == len(greeting.splitlines()) <= 1
        if protocol.name != "smtp":  # whose greeting waits for the client's name
            words = {"imap": b"a CAPABILITY\r\n", "pop3": b"CAPA\r\n"}[protocol.name]
            said = b"".join(effect.data for effect in client.receive(words) if isinstance(effect, Send))
            assert said.count(b"\n") == said.count(b"\r\n")
            assert b"\0" not in said


def check_words(files: Mapping[str, bytes]) -> None:
    """Statements, written down with every word quoted, are read as the same statements."""
    try:
        with sealed(files):
            found = list(_statements(_parser(files)))
    except ConfigError:
        return
    text = "".join(_written(statement) for statement in found)
    if any(len(_quoted(word).encode("utf-8", "surrogateescape")) > MAX_WORD_BYTES for word in _words(found)):
        return
    again = list(_statements(_parser({MAIN: text.encode("utf-8", "surrogateescape")})))
    assert [_bare(statement) for statement in again] == [_bare(statement) for statement in found]


def _statements(parser: Parser) -> Iterator[Statement | BlockEnd]:
    while (found := parser.next()) is not None:
        yield found


def _words(found: list[Statement | BlockEnd]) -> Iterator[str]:
    for statement in found:
        if isinstance(statement, Statement):
            yield from (statement.name, *statement.words)


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _written(statement: Statement | BlockEnd) -> str:
    if isinstance(statement, BlockEnd):
        return "}\n"
    return " ".join(map(_quoted, (statement.name, *statement.words))) + ("{\n" if statement.opens else ";\n")


def _bare(statement: Statement | BlockEnd) -> tuple[object, ...]:
    """Without its place."""
    return (statement.name, statement.words, statement.opens) if isinstance(statement, Statement) else ()


SAMPLE = b"""
user root;
error_log logs/error.log info;
events { worker_connections 64; }
http { server { listen 80; location / { return 200 "}"; content_by_lua_block { x = "}" } } } }
mail {
    server_name mail.example;
    auth_http 127.0.0.1:9000/auth;
    auth_http_header X-Key "secret value";
    ssl_certificate both.pem; ssl_certificate_key both.pem;
    ssl_password_file passwords;
    imap_capabilities IMAP4rev1 "ID" UIDPLUS;
    smtp_capabilities "SIZE 1000" 8BITMIME;
    include more.conf;
    server { listen 143; listen [::1]:143 ipv6only=on so_keepalive=30m::10; protocol imap; starttls on; }
    server { listen 127.0.0.1:110-112 bind backlog=5; protocol pop3; pop3_auth plain apop cram-md5; }
    server { listen unix:/run/x proxy_protocol; protocol smtp; smtp_auth none; proxy_protocol v2; xclient off; }
}
"""


def seeds() -> Iterator[bytes]:
    yield SAMPLE + CURTAIN + b"timeout 1m30s;\nset_real_ip_from 10.0.0.0/8;\n" + CURTAIN + b"first\nsecond\r\n"
    yield SAMPLE.replace(b"more.conf", b"*.conf") + CURTAIN + b"max_errors 3;"
    yield b"mail { server { listen 1; protocol imap; proxy_pass 127.0.0.1; ssl_session_cache shared:A:1m; } }"
    yield b"mail { resolver 127.0.0.1 [::1]:54 valid=30s ipv6=off; resolver_timeout 5s; }"
    yield b"# only a comment"
    yield b"events { } mail { server { listen \"1\"; protocol 'imap'; proxy_pass unix:/x; } }"
    yield b"include more.conf;" + CURTAIN + b"include gatepost.conf;"
    yield b'a "b\\"c" \'d\\\\\' ${e} \\t{ f; }'


TARGET = Target(
    "configuration",
    run,
    words=(
        *(b"mail {", b"server {", b"events {", b"http {", b"stream {", b"}", b"{", b";", b" ", b"\n", b"#", b"~~"),
        *(
            b"'",
            b'"',
            b"\\",
            b"${",
            b"include more.conf;",
            b"include *.conf;",
            b"x_by_lua_block {",
            b"]]",
            b"--[==[",
        ),
        *(name.encode() for name in sorted({row.name for cls in groups() for row in rows(cls).values()})),
        *(b"127.0.0.1", b"[::1]", b"unix:/x", b":143", b"1-65535", b"off", b"on", b"1h30m", b"4k", b"10m"),
        *(b"shared:A:1m", b"builtin:5", b"plain", b"cram-md5", b"none", b"imap", b"pop3", b"smtp", b"10.0.0.0/8"),
        *(
            b"listen 143;",
            b"protocol imap;",
            b"proxy_pass 127.0.0.1;",
            b"auth_http 127.0.0.1:9;",
            b"valid=",
            b"\xff",
        ),
    ),
    seeds=seeds,
    max_bytes=4096,
)
