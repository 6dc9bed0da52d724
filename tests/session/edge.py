"""A server of a real configuration, with its clients, its backend and its authentication service in one test."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import trustme

from gatepost.address import Address
from gatepost.assembly import load
from gatepost.config.build import Installation
from gatepost.net.poller import Poller
from gatepost.session.driver import Session
from gatepost.worker.heritage import make
from gatepost.worker.process import Worker
from tests.wire import Accounts, Far, Lines, TlsFar, pair

CLIENT = Address(socket.AF_INET, "192.0.2.1", 40000)
PASSWORD = b"s3cret-Pa55"
GREETING = b"* OK IMAP4 ready\r\n"
HANGS_UP = "(no answer, the connection ends)"
INTERNAL_ERROR = b"* BAD internal server error\r\n"


class Backend:
    """A listening socket that sessions are sent to; ``place`` is how ``proxy_pass`` writes it."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0))
            host, port = self.socket.getsockname()
            self.place = f"{host}:{port}"
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            self.socket.listen()
            self.place = f"unix:{path}"
        self.socket.setblocking(False)

    async def accept(self) -> Far:
        return Far((await asyncio.get_running_loop().sock_accept(self.socket))[0])

    async def login(self, behind: bytes = b"") -> Far:
        """Accept a connection and its IMAP login; ``behind`` goes out together with the last reply."""
        far = await self.accept()
        await self.play(far, behind)
        return far

    async def play(self, far: Far, behind: bytes = b"") -> None:
        await far.write(b"* OK backend\r\n")
        tag = (await far.read_line()).split()[0]
        await far.write(b"+ user\r\n")
        await far.read_line()
        await far.write(b"+ password\r\n")
        assert await far.read_line() == PASSWORD + b"\r\n"
        await far.write(tag + b" OK in\r\n" + behind)

    def close(self) -> None:
        self.socket.close()


class Service:
    """An authentication service. It gives the next of ``answers`` (header lines), the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.held = asyncio.Event()  # set: answers go out
        self.held.set()

        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._task = asyncio.ensure_future(self._accept())
        # Where it is, for ``auth_http``.
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}/auth"

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._serve(Far((await loop.sock_accept(self._socket))[0])))

    async def _serve(self, far: Far) -> None:
        try:
            while True:
                question = b""
                while not question.endswith(b"\r\n\r\n"):
                    question += await far.read_line()
                self.asked.append(question)
                await self.held.wait()
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer == HANGS_UP:
                    return
                await far.write(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{answer}\r\n\r\n".encode())
        except (EOFError, ConnectionError):
            pass
        finally:
            far.close()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._socket.close()


class Edge:
    """One server, and sessions on it that did not come through its listener."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        directory: Path,
        mail: str,
        *,
        listen: str = "",
        counted: bool = True,
    ) -> None:
        """``mail`` are directives of the server, ``listen`` parameters of its listener.

        Not ``counted``: on a poller as it is, which also a compiled form of gatepost can be given.
        """
        self._poller = Accounts(loop) if counted else Poller(loop)
        self.lines = Lines()
        path = directory / "gatepost.conf"
        self.name = f"unix:{directory}/listener"
        both, self.trusting = _certificate(directory)
        path.write_text(
            f"mail {{ ssl_certificate {both}; ssl_certificate_key {both};"
            f" server {{ listen {self.name} {listen}; protocol imap; {mail} }} }}"
        )
        self._heritage = make(load(Installation(str(path))), _no_outputs(), self.lines.log(), print)
        self._worker = worker = Worker(self._poller, self._heritage, 0, self._heritage.scoreboard.claim())
        (listener,) = self._heritage.listeners
        self.endpoint = worker._endpoint(listener.bind.fallback)
        self.host = worker._host
        self.number = 0

    @property
    def accounts(self) -> Accounts:
        assert isinstance(self._poller, Accounts)
        return self._poller

    def use(self, **parts: Any) -> None:
        """Replace parts of the endpoint."""
        self.endpoint = replace(self.endpoint, **parts)

    def connect(self, *, small: bool = False) -> tuple[Far, Session]:
        """A client that has just been accepted."""
        one, other = pair(small=small)
        self.number += 1
        session = Session(self.host, self.endpoint, other, CLIENT, self.number)
        session.start()
        return Far(one), session

    def connect_tls(self, *, small: bool = False) -> tuple[TlsFar, Session]:
        """The same, about to shake hands."""
        far, session = self.connect(small=small)
        return TlsFar(far.socket, self.trusting), session

    def suffix(self, *, starttls: bool = False, login: str = "", upstream: str = "") -> str:
        """How the lines of a session end."""
        text = f", client: {CLIENT.host}{' using starttls' if starttls else ''}, server: {self.name}"
        if login:
            text += f', login: "{login}"'
        if upstream:
            text += f", upstream: {upstream}"
        return text

    async def over(self) -> None:
        """Wait until no session is left; nothing of them may be."""
        while self.host.count:
            self.host.on_ended.clear()
            await self.host.on_ended.wait()
        assert self.host.sockets == 0
        if isinstance(self._poller, Accounts):
            assert self._poller.watched == set()

    def close(self) -> None:
        self.endpoint.authenticator.close()
        assert self.host.room.held == len(self._heritage.listeners)
        for listener in self._heritage.listeners:
            listener.remove()
        self._worker._accepting.stop()
        self._poller.close()
        os.close(self._heritage.lifeline.read_fd)
        os.close(self._heritage.lifeline.write_fd)
        assert all(PASSWORD.decode() not in text for text in self.lines.texts)


@contextlib.asynccontextmanager
async def edge(
    loop: asyncio.AbstractEventLoop, directory: Path, mail: str, *, listen: str = "", counted: bool = True
) -> AsyncIterator[Edge]:
    made = Edge(loop, directory, mail, listen=listen, counted=counted)
    try:
        yield made
    finally:
        made.close()
        for _ in range(5):  # the loop's own transports close in turns of their own
            await asyncio.sleep(0)


def _no_outputs() -> Any:
    """Nothing in these configurations names a log of its own."""
    return None


def _certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    authority = trustme.CA()
    path = directory / "both.pem"
    issued = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    issued.private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)
    return path, ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
