"""Clients that break every rule: the reply of the protocol, bounded memory, and nobody else notices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .certificates import Certificates
from .dovecot import Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .mailbox import login
from .process import memory_kib

CONFIGURATION = """
    auth_http 127.0.0.1:%d;
    imap_client_buffer 4k;
    imap_auth plain login cram-md5;
    max_errors 3;
    starttls on;
    timeout 60s;
    %s
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol imap;
        timeout 1s;
    }}
    server {{
        listen 127.0.0.1:{2} ssl;
        protocol imap;
        timeout 1s;
    }}
"""


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    with AuthService(lambda _: accept(dovecot.port)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService) -> Iterator[Gateway]:
    mail = CONFIGURATION % (service.port, certificates.directives("ecdsa"))
    with Gateway(directory, mail, ports=3) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[LineClient]:
    with LineClient.plain(gateway.port) as connected:
        assert connected.line() == b"* OK IMAP4 ready"
        yield connected


@pytest.fixture
def bystander(gateway: Gateway, dovecot: Dovecot) -> Iterator[LineClient]:
    """A session that was there before and must still work afterwards."""
    with LineClient.plain(gateway.port) as connected:
        connected.line()
        login(connected, dovecot.fresh_user())
        yield connected
        connected.send(b"z NOOP\r\n")
        assert connected.upto(b"z ")[-1].startswith(b"z OK")


@pytest.mark.usefixtures("bystander")
class TestWhileAnotherSessionGoesOn:
    """Each test ends with a command on a session of somebody else."""

    def test_a_line_without_end(self, gateway: Gateway, client: LineClient) -> None:
        client.send(b"a LOGIN joe open-sesame" + b"x" * 5000)
        assert client.rest() == b"a BAD invalid command\r\n"
        # nginx logs the whole line; a password has no place in a log.
        gateway.wait_for_log(r'\[info\] .*client sent too long command "a LOGIN')
        assert "open-sesame" not in gateway.log()

    def test_a_line_without_end_or_tag(self, client: LineClient) -> None:
        client.send(b"x" * 5000)
        assert client.rest() == b"* BAD invalid command\r\n"

    def test_a_literal_larger_than_the_buffer(self, client: LineClient) -> None:
        # The length is not judged in advance: the overflow is, when it comes.
        assert client.command(b"a LOGIN {1000000000}") == b"+ OK"
        client.send(b"x" * 5000)
        assert client.rest() == b"a BAD invalid command\r\n"

    def test_a_literal_length_that_does_not_fit_64_bits(self, client: LineClient) -> None:
        assert client.command(b"a LOGIN {99999999999999999999}") == b"a BAD invalid command"
        assert client.command(b"b NOOP") == b"b OK completed"

    def test_a_non_synchronising_literal_in_a_bad_line(self, client: LineClient) -> None:
        # What follows cannot be told from commands, so the connection ends.
        client.send(b"some-long-tag NOSUCH {5+}\r\nhello\r\n")
        assert client.rest() == b"some-long-tag BAD invalid command\r\n"

    def test_unknown_commands_up_to_max_errors(self, gateway: Gateway, client: LineClient) -> None:
        assert client.command(b"a SELECT INBOX") == b"a BAD invalid command"
        assert client.command(b"b ID NIL") == b"b BAD invalid command"
        client.send(b"c GET / HTTP/1.1\r\n")
        assert client.rest() == b"c BAD invalid command\r\n"
        gateway.wait_for_log(r"\[info\] .*client sent too many invalid commands")

    @pytest.mark.parametrize("tag", [b"a@b", b"\xc3\xa4", b"x" * 33, b"\0", b"a(", b""])
    def test_bad_tags(self, client: LineClient, tag: bytes) -> None:
        assert client.command(tag + b" NOOP") == b"* BAD invalid command"
        assert client.command(b"ok NOOP") == b"ok OK completed"

    @pytest.mark.parametrize("base64", [b"!!!!", b"*", b"\0\0\0", b"YQ", b"\xff\xfe", b"YWFh"])
    def test_bad_sasl_answers(self, client: LineClient, base64: bytes) -> None:
        assert client.command(b"a AUTHENTICATE PLAIN") == b"+ "
        assert client.command(base64) == b"a BAD invalid command"
        assert client.command(b"b NOOP") == b"b OK completed"

    def test_bad_cram_md5_answer(self, client: LineClient) -> None:
        assert client.command(b"a AUTHENTICATE CRAM-MD5").startswith(b"+ ")
        assert client.command(b"dXNlciBzaG9ydA==") == b"a BAD invalid command"

    def test_a_mechanism_that_is_not_enabled(self, service: AuthService, client: LineClient) -> None:
        # With an initial response, too: it would be a login without any proof.
        before = len(service.requests)
        assert client.command(b"a AUTHENTICATE EXTERNAL dXNlcg==") == b"a BAD invalid command"
        assert len(service.requests) == before

    def test_nul_bytes(self, service: AuthService, client: LineClient) -> None:
        before = len(service.requests)
        assert client.command(b"a \0\0\0") == b"a BAD invalid command"
        # As a literal they are legal IMAP, but no name or password holds them, and C programs stop at them.
        assert client.command(b"b LOGIN {7}") == b"+ OK"
        assert client.command(b"nul\0nul secret") == b"b BAD invalid command"
        assert client.command(b"c NOOP") == b"c OK completed"
        assert len(service.requests) == before

    def test_bytes_one_at_a_time(self, client: LineClient, dovecot: Dovecot) -> None:
        user = dovecot.fresh_user()
        for byte in f'a CAPABILITY\r\nb LOGIN {user} "secret word"\r\n'.encode():
            client.send(bytes([byte]))
        assert client.upto(b"a ")[-1] == b"a OK completed"
        assert client.upto(b"b ")[-1].startswith(b"b OK")

    def test_a_thousand_commands_in_one_go(self, client: LineClient) -> None:
        client.send(b"".join(b"n%d NOOP\r\n" % number for number in range(1000)))
        for number in range(1000):
            assert client.line() == b"n%d OK completed" % number

    def test_commands_that_fill_the_buffer_to_the_last_byte(self, client: LineClient) -> None:
        line = b"fill NOOP\r\n"
        count, rest = divmod(4096, len(line))
        client.send(line * (count - 1) + b"fill NOOP" + b" " * rest + b"\r\n" + b"last NOOP\r\n")
        for _ in range(count):
            assert client.line() == b"fill OK completed"
        assert client.line() == b"last OK completed"

    def test_gone_at_every_stage(self, gateway: Gateway, dovecot: Dovecot) -> None:
        for said in (b"", b"a", b"a LOGIN", b"a LOGIN {5}\r\n", b"a AUTHENTICATE PLAIN\r\n", b"a STARTTLS\r\n"):
            with LineClient.plain(gateway.port) as client:
                client.line()
                client.send(said)
        with LineClient.plain(gateway.port) as client:
            client.line()
            client.send(f'a LOGIN {dovecot.fresh_user()} "secret word"\r\n'.encode())
        gateway.wait_for_log("proxied session done")

    def test_reset_in_the_middle(self, gateway: Gateway) -> None:
        for port in (gateway.ports[0], gateway.ports[2]) * 3:
            client = LineClient.plain(port)
            client.send(b"a LOGIN user ")
            client.reset()

    def test_rubbish_instead_of_a_handshake(self, gateway: Gateway, client: LineClient) -> None:
        assert client.command(b"a STARTTLS") == b"a OK completed"
        client.send(b"\x16\x03\x01\xff\xff" + b"\0" * 20000)
        assert b"OK" not in client.rest()
        gateway.wait_for_log(r"SSL_do_handshake\(\) failed .*using starttls")

    def test_memory_stays_bounded(self, gateway: Gateway, client: LineClient) -> None:
        (worker,) = gateway.workers
        before = memory_kib(worker)
        clients = []
        for _ in range(50):
            flood = LineClient.plain(gateway.port)
            flood.line()
            flood.send(b"a LOGIN {1000000000+}\r\n" + b"x" * 1000)
            clients.append(flood)
        assert client.command(b"b NOOP") == b"b OK completed"
        # 50 sessions with a buffer of 4 KiB each and some objects; a hundred KiB each would be a leak.
        assert memory_kib(worker) - before < 50 * 100
        for flood in clients:
            flood.close()


def test_silent_client(gateway: Gateway) -> None:
    with LineClient.plain(gateway.ports[1]) as client:
        # No BYE, nothing: closing is all that happens.
        assert client.rest() == b"* OK IMAP4 ready\r\n"
    gateway.wait_for_log(
        rf"\[info\] .*client timed out \(110: Connection timed out\) while [a-z ]+, "
        rf"client: 127\.0\.0\.1, server: 127\.0\.0\.1:{gateway.ports[1]}\n"
    )


def test_noop_does_not_buy_time(gateway: Gateway) -> None:
    with LineClient.plain(gateway.ports[1]) as client:
        client.line()
        client.send(b"a NOOP\r\n" * 5)
        assert client.rest() == b"a OK completed\r\n" * 5


def test_silence_instead_of_a_handshake(gateway: Gateway) -> None:
    with LineClient.plain(gateway.ports[2]) as client:
        assert client.rest() == b""


def test_silence_after_starttls(gateway: Gateway) -> None:
    with LineClient.plain(gateway.ports[1]) as client:
        client.line()
        assert client.command(b"a STARTTLS") == b"a OK completed"
        assert client.rest() == b""


def test_log_lines_cannot_be_forged(gateway: Gateway) -> None:
    with LineClient.plain(gateway.port) as client:
        client.line()
        forged = b"x\n2026/01/01 00:00:00 [emerg] 1#0: forged"
        assert client.command(b"a LOGIN {%d+}\r\n%s secret" % (len(forged), forged))[:3] in (b"a N", b"* B", b"a B")
    assert "\n2026/01/01 00:00:00 [emerg]" not in gateway.log()
