"""Servers with faults, to see that each judge objects to them: the good word of a blind judge is worth nothing."""

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.functional.guide import Edge, chapter

from .edge import RECOMMENDED, Door

# What the recommended configuration says, and what it would better not say.
_FAULTS = (
    ("ssl_protocols  TLSv1.2 TLSv1.3;", "ssl_protocols  TLSv1 TLSv1.1 TLSv1.2;"),
    ("ssl_ciphers    ECDHE+AESGCM:ECDHE+CHACHA20;", "ssl_ciphers    ALL:@SECLEVEL=0;"),
)
_LIMIT_SECONDS = 30.0  # for each read and write of the careless server


def start_weak(directory: Path) -> Edge:
    """gatepost, told to allow what is outdated. Whoever called ends it."""
    text = chapter(RECOMMENDED).configuration
    for good, bad in _FAULTS:
        assert text.count(good) == 1, good
        text = text.replace(good, bad)
    return Edge(directory, text)


class _Careless(socketserver.BaseRequestHandler):
    """An IMAP server that keeps what it has read in the clear when TLS begins."""

    context: ssl.SSLContext

    def handle(self) -> None:
        stream, pending = self.request, b""
        stream.settimeout(_LIMIT_SECONDS)
        with contextlib.suppress(OSError):
            stream.sendall(b"* OK ready\r\n")
            while True:
                while b"\r\n" not in pending:
                    piece = stream.recv(4096)
                    if not piece:
                        return
                    pending += piece
                line, _, pending = pending.partition(b"\r\n")
                tag, _, command = line.partition(b" ")
                stream.sendall(tag + b" OK done\r\n")
                if command == b"STARTTLS":
                    stream = self.context.wrap_socket(stream, server_side=True)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def careless_imap(directory: Path) -> Iterator[Door]:
    """A server that obeys commands injected before TLS, with a certificate from ``directory``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "rsa.pem", directory / "rsa.key")
    handler = type("Careless", (_Careless,), {"context": context})
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Door("a careless IMAP server", server.server_address[1], "imap")
        finally:
            server.shutdown()
