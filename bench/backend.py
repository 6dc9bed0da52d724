"""The servers behind: tiny mail servers and the authentication service that names them, in one process.

``python -m bench.backend`` prints one line of JSON with the ports and serves until its standard input closes.
All speak just enough to be cheap, and take every login. The IMAP server has two commands of its own, ``DOWNLOAD N``
and ``UPLOAD N``, that move N bytes.
"""

import asyncio
import json
import sys
from typing import cast

import uvloop

_BLOCK = bytes(1 << 18)
_BACKLOG = 4096  # clients come in bursts, and nobody here is refused


class Lines(asyncio.Protocol):
    """One connection that speaks in lines. ``line`` answers one; ``greeting`` is said first."""

    greeting = b""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self.greeting)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n")) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
            self.line(line)

    def line(self, line: bytes) -> None:
        raise NotImplementedError

    def leave(self, words: bytes) -> None:
        self._transport.write(words)
        self._transport.close()


class Pop3(Lines):
    greeting = b"+OK ready\r\n"

    def line(self, line: bytes) -> None:
        if line.upper() == b"QUIT":
            self.leave(b"+OK bye\r\n")
        elif line.upper() == b"CAPA":
            self._transport.write(b"+OK\r\nUSER\r\n.\r\n")
        else:
            self._transport.write(b"+OK\r\n")


class Smtp(Lines):
    greeting = b"220 ready\r\n"

    def line(self, line: bytes) -> None:
        command = line[:4].upper()
        if command == b"QUIT":
            self.leave(b"221 bye\r\n")
        elif command == b"EHLO":
            self._transport.write(b"250-ready\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR NAME LOGIN\r\n")
        elif command == b"XCLI":
            self._transport.write(b"220 ready\r\n")
        elif command == b"AUTH":
            self._transport.write(b"235 go on\r\n")
        else:
            self._transport.write(b"250 done\r\n")


class Imap(Lines):
    greeting = b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN] ready\r\n"  # as Dovecot's says

    def __init__(self) -> None:
        super().__init__()
        self._tag = b""
        self._literals = 0  # lines of the LOGIN dialogue still to come, each to be asked for
        self._unasked = 0  # the same where they come by themselves
        self._incoming = 0  # bytes of an upload still to come
        self._outgoing = 0  # bytes of a download still to send
        self._paused = False

    def data_received(self, data: bytes) -> None:
        if self._incoming:
            taken = min(self._incoming, len(data))
            self._incoming -= taken
            if self._incoming:
                return
            self._transport.write(self._tag + b" OK stored\r\n")
            data = data[taken:]
        super().data_received(data)

    def line(self, line: bytes) -> None:
        if self._unasked:
            self._unasked -= 1
            if not self._unasked:
                self._transport.write(self._tag + b" OK logged in\r\n")
            return
        if self._literals:
            self._literals -= 1
            self._transport.write(b"+ go on\r\n" if self._literals else self._tag + b" OK logged in\r\n")
            return
        tag, _, rest = line.partition(b" ")
        command, _, argument = rest.partition(b" ")
        self._tag = tag
        match command.upper():
            case b"LOGIN" if argument.endswith(b"+}"):
                self._unasked = 2
            case b"LOGIN" if argument.endswith(b"}"):
                self._literals = 2
                self._transport.write(b"+ go on\r\n")
            case b"LOGOUT":
                self.leave(b"* BYE\r\n" + tag + b" OK bye\r\n")
            case b"CAPABILITY":
                self._transport.write(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
            case b"DOWNLOAD":
                self._outgoing = int(argument)
                self.resume_writing()
            case b"UPLOAD":
                # What came with the command counts; the reply is due when all of it is here.
                early, self._buffer = self._buffer, b""
                self._incoming = int(argument)
                self.data_received(early)
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

    def __init__(self, ports: dict[str, int]) -> None:
        self._buffer = b""
        self._answers = {
            b"\r\nAuth-Protocol: " + name.encode() + b"\r\n": (
                f"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n"
                "Content-Length: 0\r\n"
            ).encode()
            for name, port in ports.items()
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            head += b"\r\n"
            answer = next(answer for line, answer in self._answers.items() if line in head)
            if b" HTTP/1.1\r\n" in head and b"\r\nConnection: close\r\n" not in head:
                self._transport.write(answer + b"\r\n")
            else:
                self._transport.write(answer + b"Connection: close\r\n\r\n")
                self._transport.close()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    ports: dict[str, int] = {}
    kinds: dict[str, type[Lines]] = {"imap": Imap, "pop3": Pop3, "smtp": Smtp}
    for name, kind in kinds.items():
        server = await loop.create_server(kind, "127.0.0.1", 0, backlog=_BACKLOG)
        ports[name] = server.sockets[0].getsockname()[1]
    auth = await loop.create_server(lambda: Auth(ports), "127.0.0.1", 0, backlog=_BACKLOG)
    print(json.dumps({**ports, "auth": auth.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
