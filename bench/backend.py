"""The servers behind: a tiny IMAP server and the authentication service that names it, in one process.

``python -m bench.backend`` prints one line of JSON with both ports and serves until its standard input closes.
Both speak just enough to be cheap: the IMAP server takes every login, and has two commands of its own,
``DOWNLOAD N`` and ``UPLOAD N``, that move N bytes.
"""

import asyncio
import json
import sys
from typing import cast

import uvloop

_BLOCK = bytes(1 << 18)


class Imap(asyncio.Protocol):
    """One IMAP connection: login by literals or words, then commands."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._tag = b""
        self._literals = 0  # lines of the LOGIN dialogue still to come
        self._incoming = 0  # bytes of an upload still to come
        self._outgoing = 0  # bytes of a download still to send
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"* OK ready\r\n")

    def data_received(self, data: bytes) -> None:
        if self._incoming and len(data) < self._incoming:
            self._incoming -= len(data)
            return
        self._buffer += data
        while True:
            if self._incoming:
                taken = min(self._incoming, len(self._buffer))
                del self._buffer[:taken]
                self._incoming -= taken
                if self._incoming:
                    return
                self._transport.write(self._tag + b" OK stored\r\n")
            end = self._buffer.find(b"\r\n")
            if end < 0:
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._line(line)

    def _line(self, line: bytes) -> None:
        if self._literals:
            self._literals -= 1
            self._transport.write(b"+ go on\r\n" if self._literals else self._tag + b" OK logged in\r\n")
            return
        tag, _, rest = line.partition(b" ")
        command, _, argument = rest.partition(b" ")
        self._tag = tag
        match command.upper():
            case b"LOGIN" if argument.endswith(b"}"):
                self._literals = 2
                self._transport.write(b"+ go on\r\n")
            case b"LOGOUT":
                self._transport.write(b"* BYE\r\n" + tag + b" OK bye\r\n")
                self._transport.close()
            case b"DOWNLOAD":
                self._outgoing = int(argument)
                self.resume_writing()
            case b"UPLOAD":
                self._incoming = int(argument)
            case _:
                self._transport.write(tag + b" OK done\r\n")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        while self._outgoing and not self._paused:
            piece = min(self._outgoing, len(_BLOCK))
            self._outgoing -= piece
            self._transport.write(_BLOCK if piece == len(_BLOCK) else _BLOCK[:piece])
            if not self._outgoing:
                self._transport.write(b"\r\n" + self._tag + b" OK that was all\r\n")


class Auth(asyncio.Protocol):
    """One HTTP connection, kept alive where the client speaks HTTP/1.1."""

    def __init__(self, imap_port: int) -> None:
        self._buffer = b""
        head = f"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {imap_port}\r\n"
        self._answer = head.encode() + b"Content-Length: 0\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if head.partition(b"\r\n")[0].endswith(b"HTTP/1.1") and b"\r\nConnection: close" not in head:
                self._transport.write(self._answer + b"\r\n")
            else:
                self._transport.write(self._answer + b"Connection: close\r\n\r\n")
                self._transport.close()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    imap = await loop.create_server(Imap, "127.0.0.1", 0, backlog=4096)
    imap_port: int = imap.sockets[0].getsockname()[1]
    auth = await loop.create_server(lambda: Auth(imap_port), "127.0.0.1", 0, backlog=4096)
    auth_port: int = auth.sockets[0].getsockname()[1]
    print(json.dumps({"imap": imap_port, "auth": auth_port}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
