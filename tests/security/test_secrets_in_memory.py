"""No password, digest or token is in any live object of a worker once its login has ended, whichever way.

The real driver on socket pairs, every protocol and mechanism, every end. Nothing is collected before it is looked:
what only a collector would find has not been let go of.
"""

import asyncio
import base64
import contextlib
import gc
import hmac
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatepost.log import Log
from gatepost.session_log import SessionLog
from tests.session.edge import HANGS_UP, Backend, Edge, Service, edge
from tests.wire import Far, a_loop, story, until

from .secrets import Secret, fresh, holders, ours


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    yield from a_loop("uvloop")


@dataclass
class Attempt:
    """One way to log in. ``says`` are the lines of the client; a callable is given the last answer."""

    protocol: str
    says: list[bytes | Callable[[bytes], bytes]]
    secrets: list[Secret]


def attempts() -> dict[str, Callable[[], Attempt]]:
    def cleartext(protocol: str, *says: Callable[[Secret], bytes]) -> Callable[[], Attempt]:
        def make() -> Attempt:
            secret = fresh(protocol)
            return Attempt(protocol, [line(secret) for line in says], [secret])

        return make

    def hashed(protocol: str, word: bytes) -> Callable[[], Attempt]:
        def make() -> Attempt:
            proof = fresh("hash")

            def response(answer: bytes) -> bytes:
                challenge = base64.b64decode(answer.split(b" ")[1])
                digest = hmac.new(proof.value, challenge, "md5").hexdigest().encode()
                attempt.secrets.append(Secret(digest, proof.user))
                return base64.b64encode(proof.user + b" " + digest) + b"\r\n"

            attempt = Attempt(protocol, [word + b" CRAM-MD5\r\n", response], [])
            return attempt

        return make

    def apop() -> Attempt:
        digest = fresh("apop").value.hex()[:32].encode()
        return Attempt("pop3", [b"APOP joe " + digest + b"\r\n"], [Secret(digest, b"joe")])

    def plain(word: bytes) -> Callable[[Secret], bytes]:
        return lambda s: word + b" PLAIN " + base64.b64encode(b"\0%b\0%b" % (s.user, s.value)) + b"\r\n"

    def encoded(s: Secret) -> bytes:
        return base64.b64encode(s.value) + b"\r\n"

    found: dict[str, Callable[[], Attempt]] = {
        "IMAP LOGIN, quoted": cleartext("imap", lambda s: b'a LOGIN %b "%b"\r\n' % (s.user, s.value)),
        "IMAP LOGIN, literal": cleartext(
            "imap", lambda s: b"a LOGIN %b {%d+}\r\n%b\r\n" % (s.user, len(s.value), s.value)
        ),
        "POP3 USER": cleartext(
            "pop3", lambda s: b"USER " + s.user + b"\r\n", lambda s: b"PASS " + s.value + b"\r\n"
        ),
        "POP3 APOP": apop,
    }
    for protocol, word in (("imap", b"a AUTHENTICATE"), ("pop3", b"AUTH"), ("smtp", b"AUTH")):
        found[f"{protocol} PLAIN"] = cleartext(protocol, plain(word))
        found[f"{protocol} LOGIN"] = cleartext(
            protocol,
            lambda s, word=word: word + b" LOGIN " + base64.b64encode(s.user) + b"\r\n",  # type: ignore[misc]
            encoded,
        )
        found[f"{protocol} CRAM-MD5"] = hashed(protocol, word)
    return found


ATTEMPTS = attempts()


def settings(service: Service) -> str:
    return f"""
        auth_http {service.place}; server_name mail.example; xclient off; proxy_smtp_auth on;
        imap_auth plain login cram-md5; pop3_auth plain apop cram-md5; smtp_auth plain login cram-md5;
    """


class Play:
    """An edge, its service and its backend, for one protocol."""

    def __init__(self, made: Edge, service: Service, backend: Backend) -> None:
        self.edge, self.service, self.backend = made, service, backend

    async def greeted(self, attempt: Attempt, *, tls: bool) -> Far:
        if tls:
            far, _ = self.edge.connect_tls()
            await far.handshake()
            client: Far = far
        else:
            client, _ = self.edge.connect()
        await client.read_line()
        if attempt.protocol == "smtp":
            await client.write(b"EHLO client\r\n")
            while not (await client.read_line()).startswith(b"250 "):
                pass
        return client

    async def say(self, client: Far, attempt: Attempt) -> None:
        """All lines but for the answer to the last one."""
        answer = b""
        for number, line in enumerate(attempt.says):
            await client.write(line(answer) if callable(line) else line)
            if number < len(attempt.says) - 1:
                answer = await client.read_line()

    async def take(self, attempt: Attempt, told: bytes) -> Far:
        """A backend that takes the login."""
        far = await self.backend.accept()
        if attempt.protocol == "imap":
            await far.write(b"* OK hi\r\n")
            tag = (await far.read_line()).split()[0]
            await far.write(b"+\r\n")
            await far.read_line()
            await far.write(b"+\r\n")
            assert await far.read_line() == told + b"\r\n"
            await far.write(tag + b" OK in\r\n")
        elif attempt.protocol == "pop3":
            for reply in (b"+OK hi\r\n", b"+OK\r\n"):
                await far.write(reply)
                await far.read_line()
            await far.write(b"+OK in\r\n")
        else:
            for reply in (b"220 hi\r\n", b"250 ok\r\n"):
                await far.write(reply)
                await far.read_line()
            await far.write(b"235 in\r\n")
        return far


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is collected meanwhile: what is let go of is gone at once, or it is found."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_nothing(*secrets: Secret) -> None:
    for secret in secrets:
        assert holders(secret) == []


def in_no_repr(*secrets: Secret) -> None:
    """What our objects show of themselves, those that only running coroutines hold included."""
    for item in ours():
        shown = repr(item).encode("utf-8", "surrogateescape")
        assert not any(secret.is_in(shown) for secret in secrets), type(item)


def test_the_search_finds_what_is_there() -> None:
    secret = fresh("needle")
    keeper = SessionLogLike(secret)
    assert holders(secret)
    keeper.log.login = b""
    in_nothing(secret)


class SessionLogLike:
    """Something of gatepost that holds a secret where it may not."""

    def __init__(self, secret: Secret) -> None:
        self.log = SessionLog(Log([]), 1, "", "")
        self.log.login = base64.b64encode(b"\0" + secret.user + b"\0" + secret.value)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "TLS"])
@pytest.mark.parametrize("way", ATTEMPTS)
@story
async def test_accepted(loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str, tls: bool) -> None:
    attempt = ATTEMPTS[way]()
    given = fresh("given")  # what the service gives instead of the client's
    async with played(loop, tmp_path, attempt, tls=tls) as play:
        play.service.answers = [accepting(play.backend, given)]
        play.service.held.clear()
        client = await play.greeted(attempt, tls=tls)
        with uncollected():
            await play.say(client, attempt)
            await until(lambda: play.service.asked)
            assert all(holders(secret) for secret in attempt.secrets), "while it is decided the session has it"
            in_no_repr(given, *attempt.secrets)
            play.service.held.set()
            backend = await play.take(attempt, given.value)
            await until(lambda: play.edge.host.relays)
            await client.read_line()
            for _ in range(3):
                await asyncio.sleep(0)
            forget(play, attempt)
            in_nothing(given, *attempt.secrets)
            in_no_repr(given, *attempt.secrets)
        client.close()
        backend.close()


OUTCOMES = {
    "refused": "Auth-Status: no",
    "refused for now": "Auth-Status: no\r\nAuth-Wait: 1",
    "not answered": HANGS_UP,
    "unusable": "Auth-Status: OK\r\nAuth-Pass: {given}\r\nAuth-Server: nowhere\r\nAuth-Port: 1",
}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("way", ATTEMPTS)
@story
async def test_not_accepted(loop: asyncio.AbstractEventLoop, tmp_path: Path, way: str, outcome: str) -> None:
    attempt = ATTEMPTS[way]()
    given = fresh("given")
    async with played(loop, tmp_path, attempt, tls=True) as play:
        play.service.answers = [OUTCOMES[outcome].format(given=given.value.decode())]
        client = await play.greeted(attempt, tls=True)
        with uncollected():
            await play.say(client, attempt)
            assert await client.read_line()
            for _ in range(3):
                await asyncio.sleep(0)
            forget(play, attempt)
            in_nothing(given, *attempt.secrets)
        client.close()


@story
async def test_asked_again_on_another_connection(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """A connection that had served before ends in the middle of the question."""
    attempt = ATTEMPTS["IMAP LOGIN, quoted"]()
    (secret,) = attempt.secrets
    async with played(loop, tmp_path, attempt, tls=True) as play:
        play.service.answers = [OUTCOMES["refused for now"], HANGS_UP, accepting(play.backend)]
        client = await play.greeted(attempt, tls=True)
        with uncollected():
            await play.say(client, attempt)
            assert (await client.read_line()).startswith(b"a NO")
            await play.say(client, attempt)
            backend = await play.take(attempt, secret.value)
            await until(lambda: play.edge.host.relays)
            await client.read_line()
            assert len(play.service.asked) == 3
            for _ in range(3):
                await asyncio.sleep(0)
            forget(play, attempt)
            in_nothing(secret)
        client.close()
        backend.close()


DECLINES = {
    "declines": b"%(no)s\r\n",
    "repeats the password": b"%(no)s %(password)s\r\n",
    "repeats it as it came": b"%(no)s %(line)s\r\n",
    "talks nonsense": b"\xff%(password)s\r\n",
    "hangs up": b"",
}


@pytest.mark.parametrize("outcome", DECLINES)
@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
@story
async def test_declined(loop: asyncio.AbstractEventLoop, tmp_path: Path, protocol: str, outcome: str) -> None:
    attempt = ATTEMPTS[f"{protocol} PLAIN"]()
    (secret,) = attempt.secrets
    async with played(loop, tmp_path, attempt, tls=True) as play:
        play.service.answers = [accepting(play.backend)]
        client = await play.greeted(attempt, tls=True)
        no = {"imap": b"a NO", "pop3": b"-ERR", "smtp": b"535"}[protocol]
        with uncollected():
            await play.say(client, attempt)
            far = await play.backend.accept()
            greetings = {"imap": (b"* OK\r\n", b"+\r\n", b"+\r\n"), "pop3": (b"+OK\r\n", b"+OK\r\n")}
            line = b""
            for reply in greetings.get(protocol, (b"220 hi\r\n", b"250 ok\r\n")):
                await far.write(reply)
                line = await far.read_line()
            said = DECLINES[outcome] % {b"no": no, b"password": secret.value, b"line": line.strip()}
            await far.write(said)
            far.close()
            assert await client.read_line()
            for _ in range(3):
                await asyncio.sleep(0)
            del line, said
            forget(play, attempt)
            in_nothing(secret)
        assert not any(secret.is_in(text.encode()) for text in play.edge.lines.texts)
        client.close()


@contextlib.asynccontextmanager
async def played(
    loop: asyncio.AbstractEventLoop, directory: Path, attempt: Attempt, *, tls: bool
) -> AsyncIterator[Play]:
    service, backend = Service(""), Backend()
    mail = f"protocol {attempt.protocol}; {settings(service)}"
    try:
        async with edge(loop, directory, mail, listen="ssl" if tls else "", counted=False) as made:
            yield Play(made, service, backend)
            await made.over()
            secrets = attempt.secrets
            assert not any(secret.is_in(text.encode()) for secret in secrets for text in made.lines.texts)
    finally:
        backend.close()
        await service.close()


def accepting(backend: Backend, given: Secret | None = None) -> str:
    host, port = backend.socket.getsockname()
    password = f"\r\nAuth-Pass: {given.value.decode()}" if given else ""
    return f"Auth-Status: OK\r\nAuth-Server: {host}\r\nAuth-Port: {port}{password}"


def forget(play: Play, _attempt: Attempt) -> None:
    """What the test itself has seen."""
    play.service.asked.clear()
    play.service.answers = [""]
