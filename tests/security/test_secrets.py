"""No password, digest or token that passes through the daemon is to be found afterwards where it does not belong.

Every mechanism and protocol, inside TLS, with every end a login can have, at log level debug. Then everything is
searched that the daemon has written or left: logs, standard error, ``-T``, the files of shared zones. For the
passwords of keys that is true of its memory as well: no process of it has them.
"""

import base64
import contextlib
import hmac
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.functional.auth_service import Answer, AuthService, Raw, Reply, Request, accept, refuse
from tests.functional.certificates import Certificates
from tests.functional.gateway import Gateway, command
from tests.functional.line_client import LineClient
from tests.functional.process import children
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.test_tls_sessions import zone_files
from tests.functional.waiting import LIMIT_SECONDS, wait_until

from .secrets import Secret, fresh
from .tongues import IMAP, POP3, SMTP, TONGUES, Tongue

MAIL = """
    server_name mail.example;
    auth_http 127.0.0.1:{service}/auth;
    error_log {directory}/all.log debug;
    imap_auth plain login cram-md5 external;
    pop3_auth plain apop cram-md5 external;
    smtp_auth plain login cram-md5 external;
    proxy_smtp_auth on;
    proxy_pass_error_message on;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_password_file {passwords};
    ssl_session_cache shared:SSL:1m;
    server {{{{ listen 127.0.0.1:{{0}} ssl; protocol imap; }}}}
    server {{{{ listen 127.0.0.1:{{1}} ssl; protocol pop3; }}}}
    server {{{{ listen 127.0.0.1:{{2}} ssl; protocol smtp; }}}}
"""


@pytest.fixture(scope="module")
def key_password() -> Secret:
    return fresh("key")


class Backend(ScriptedBackend):
    """Greets as what it is told to be, agrees to names, and says ``verdict`` to passwords, which it repeats."""

    def __init__(self) -> None:
        super().__init__(self._talk)
        self.protocol = ""
        self.verdict = b"OK"

    def _talk(self, client: LineClient) -> None:
        greeting, yes, no = {
            "imap": (b"* OK hi", b"a OK in", b"a NO"),
            "pop3": (b"+OK hi", b"+OK in", b"-ERR"),
            "smtp": (b"220 hi", b"235 in", b"535"),
        }[self.protocol]
        client.send(greeting + b"\r\n")
        heard = client.line()
        if self.protocol == "imap":
            for _ in range(2):
                client.send(b"+\r\n")
                heard = client.line()
        else:
            client.send({"pop3": b"+OK\r\n", "smtp": b"250 ok\r\n"}[self.protocol])
            heard = client.line()
        if self.verdict == b"OK":
            client.send(yes + b"\r\n")
            self.hold()
        elif self.verdict == b"NO":
            client.send(no + b" wrong: " + heard + b"\r\n")
        else:
            client.send(b"\x00\xffwhat? " + heard + b"\r\n")


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


@pytest.fixture(scope="module")
def service() -> Iterator[AuthService]:
    with AuthService(lambda _: refuse("no")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    directory: Path, certificates: Certificates, service: AuthService, key_password: Secret
) -> Iterator[Gateway]:
    directory.chmod(0o777)
    plain = serialization.load_pem_private_key(certificates.ecdsa.with_suffix(".key").read_bytes(), None)
    key = directory / "encrypted.key"
    key.touch(0o600)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(key_password.value),
        )
    )
    passwords = directory / "passwords"
    passwords.write_bytes(b"another\n" + key_password.value + b"\n")
    mail = MAIL.format(
        service=service.port, directory=directory, chain=certificates.ecdsa, key=key, passwords=passwords
    )
    with Gateway(directory, mail, ports=3) as running:
        yield running


# The ways in: what the client says, line by line, given the last answer.

Line = Callable[[bytes], bytes]


def say(data: bytes) -> Line:
    return lambda _answer: data


def ways(tongue: Tongue, secrets: list[Secret]) -> Iterator[list[Line]]:
    """Every way to log in with ``tongue``; the secret of each is added to ``secrets``."""

    def new() -> Secret:
        secrets.append(fresh(tongue.name))
        return secrets[-1]

    def digest(answer: bytes) -> bytes:
        made = hmac.new(new().value, base64.b64decode(answer.split(b" ")[1]), "md5").hexdigest().encode()
        secrets.append(Secret(made, b"joe"))
        return base64.b64encode(b"joe " + made)

    plain = b"\0joe\0%b"
    yield [say(tongue.auth + b" PLAIN " + base64.b64encode(plain % new().value))]
    yield [say(tongue.auth + b" PLAIN"), say(base64.b64encode(b"joe" + plain % new().value))]
    yield [say(tongue.auth + b" LOGIN"), say(base64.b64encode(b"joe")), say(base64.b64encode(new().value))]
    yield [say(tongue.auth + b" CRAM-MD5"), digest]
    yield [say(tongue.auth + b" EXTERNAL " + base64.b64encode(b"joe"))]
    if tongue is IMAP:
        password = new().value
        yield [say(b'a LOGIN joe "%b"' % password)]
        yield [say(b"a LOGIN {3+}\r\njoe {%d+}\r\n%b" % (len(password), password))]
        yield [say(b"a LOGIN joe {%d}" % len(password)), say(password)]
    if tongue is POP3:
        yield [say(b"USER joe"), say(b"PASS " + new().value)]
        secrets.append(Secret(fresh("apop").value.hex()[:32].encode(), b"joe"))
        yield [say(b"APOP joe " + secrets[-1].value)]


def mistakes(tongue: Tongue, secrets: list[Secret]) -> Iterator[bytes]:
    """Lines with secrets in places where they do not belong, or that are too long or broken."""

    def new() -> bytes:
        secrets.append(fresh("mistake"))
        return secrets[-1].value

    yield tongue.auth + b" PLAIN " + base64.b64encode(new())
    yield tongue.auth + b" PLAIN " + base64.b64encode(b"\0joe\0" + new() + b"\r\n")
    yield tongue.auth + b" NTLM " + base64.b64encode(new())
    yield tongue.auth + b" PLAIN " + base64.b64encode(b"\0joe\0" + new()) + b" more"
    yield tongue.auth + b" PLAIN *" + base64.b64encode(new())
    yield new()
    yield b"a LOGIN joe {9999999999999999999999}" if tongue is IMAP else b"PASS " + new()
    yield (b"a LOGIN joe " if tongue is IMAP else b"PASS ") + new() + b"x" * 5000


def outcomes(backend: Backend, given: Secret) -> Iterator[tuple[bytes, Reply]]:
    """What the backend would say, and what the service says."""
    more = {"Auth_Pass": given.value.decode()}
    yield b"OK", accept(backend.port, **more)
    yield b"NO", accept(backend.port, **more)
    yield b"what", accept(backend.port, **more)
    yield b"NO", accept(backend.port)
    yield b"what", accept(backend.port)
    yield b"", refuse("no")
    yield (
        b"",
        Answer({"Auth-Status": "OK", "Auth-Server": "nowhere", "Auth-Port": "1", "Auth-Pass": more["Auth_Pass"]}),
    )
    yield b"", Answer({"Auth-Status": "OK", "Auth-Pass": more["Auth_Pass"]})
    yield b"", Raw(b"HTTP/1.1 200 OK\r\nAuth-Pass: " + given.value + b"\r\nbroken header\r\n\r\n")
    yield b"", Raw(b"")


def always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda _request: reply


def attempt(client: LineClient, lines: list[Line]) -> None:
    answer = b""
    with contextlib.suppress(EOFError, OSError):
        for line in lines:
            client.send(line(answer) + b"\r\n")
            answer = client.line()


@pytest.fixture(scope="module")
def passed(gateway: Gateway, certificates: Certificates, service: AuthService, backend: Backend) -> list[Secret]:
    """All secrets that have passed through the daemon, in every way and to every end."""
    secrets: list[Secret] = []
    given = fresh("given")
    for number, tongue in enumerate(TONGUES):
        backend.protocol = tongue.name
        for verdict, reply in outcomes(backend, given):
            backend.verdict = verdict
            service.decide = always(reply)
            for lines in ways(tongue, secrets):
                with LineClient.tls(gateway.ports[number], certificates.client_context()) as client:
                    attempt(tongue.greeted(client), lines)
        for line in mistakes(tongue, secrets):
            with LineClient.tls(gateway.ports[number], certificates.client_context()) as client:
                attempt(tongue.greeted(client), [say(line)])
    assert len(service.requests) > 150
    return [*secrets, given]


def found_in(secrets: list[Secret], data: bytes) -> list[bytes]:
    return [secret.value for secret in secrets if secret.is_in(data)]


def logs(gateway: Gateway) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(gateway.directory.glob("*.log")))


def test_logs(gateway: Gateway, passed: list[Secret]) -> None:
    wait_until(lambda: b"too long command" in logs(gateway), "the last line")
    written = logs(gateway)
    for expected in (b"client login failed", b"upstream sent invalid response", b"client logged in", b"joe"):
        assert expected in written
    assert found_in(passed, written) == []


def test_standard_error_and_dump(gateway: Gateway, passed: list[Secret], key_password: Secret) -> None:
    done = subprocess.run(command(gateway.directory, "-T"), capture_output=True, check=False, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr + gateway.process.text().encode()
    assert b"ssl_password_file" in said
    assert found_in([*passed, key_password], said) == []


def test_shared_zones(gateway: Gateway, passed: list[Secret], key_password: Secret) -> None:
    (worker,) = gateway.workers
    wait_until(lambda: zone_files(worker), "the worker to open the zone")
    for zone in zone_files(worker):
        for path in zone.parent.iterdir():
            assert found_in([*passed, key_password], path.read_bytes()) == []


def test_environment_and_command_line(gateway: Gateway, passed: list[Secret], key_password: Secret) -> None:
    for pid in (gateway.process.pid, *gateway.workers):
        for name in ("environ", "cmdline", "comm"):
            assert found_in([*passed, key_password], Path(f"/proc/{pid}/{name}").read_bytes()) == []


@pytest.mark.usefixtures("passed")
def test_no_process_has_the_password_of_a_key(gateway: Gateway, key_password: Secret) -> None:
    """Nor, therefore, would a core of one."""
    pids = [gateway.process.pid, *children(gateway.process.pid)]
    assert len(pids) > 1
    for pid in pids:
        memory = memory_of(pid)
        assert b"gatepost" in memory, "this is its memory"
        assert not key_password.is_in(memory)


def memory_of(pid: int) -> bytes:
    """All that a process may write to: what a core has of it, without stopping it for long."""
    found = bytearray()
    with (
        open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps,
        open(f"/proc/{pid}/mem", "rb") as memory,
    ):
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is None or "/dev/" in line:
                continue
            start, end = (int(number, 16) for number in match.groups())
            with contextlib.suppress(OSError, ValueError):  # gone meanwhile
                found += os.pread(memory.fileno(), end - start, start)
    return bytes(found)


def test_the_search_of_memory_finds_what_is_there() -> None:
    secret = fresh("needle")
    assert secret.is_in(memory_of(os.getpid()))


def test_an_unencrypted_connection_says_no_more(gateway: Gateway, service: AuthService) -> None:
    """What is said to a TLS port in the clear is no handshake; the log shows nothing of it."""
    secret = fresh("clear")
    before = len(service.requests)
    with LineClient.plain(gateway.ports[TONGUES.index(SMTP)]) as client, contextlib.suppress(OSError, EOFError):
        client.send(b"AUTH PLAIN " + base64.b64encode(b"\0joe\0" + secret.value) + b"\r\n" + secret.value + b"\r\n")
        client.rest()
    wait_until(lambda: b"SSL_do_handshake" in logs(gateway), "the line about it")
    assert not secret.is_in(logs(gateway))
    assert len(service.requests) == before
