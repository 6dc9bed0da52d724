"""Every configuration in docs/tls.md is run as it is shown, and TLS clients get what the text promises."""

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, refuse
from .certificates import Certificates, make_certificates
from .guide import TLS_GUIDE, Edge, chapter, read_guide, shell
from .line_client import LineClient
from .waiting import LIMIT_SECONDS

RECOMMENDED = "Recommended configuration"
TWO_CERTIFICATES = "Two certificates, RSA and ECDSA"
CLIENT_CERTIFICATES = "Client certificates"
SESSIONS = "Sessions on many workers"
TICKET_KEYS = "Rotating ticket keys by hand"
STORE = "A key in an OpenSSL store, with a password"
TOKEN = "A key in a PKCS#11 token"

GREETINGS = {993: b"* OK", 143: b"* OK", 995: b"+OK", 110: b"+OK", 465: b"220 ", 587: b"220 "}
STARTTLS = {143: (b"a STARTTLS", b"a OK"), 110: (b"STLS", b"+OK"), 587: (b"STARTTLS", b"220 ")}
IN_THE_CLEAR = {
    143: (b"a LOGIN alice secret", b"a BAD"),
    110: (b"USER alice", b"-ERR"),
    587: (b"MAIL FROM:<>", b"530 "),
}


@pytest.fixture
def place(open_path: Path) -> Path:
    """The directory that stands for /etc/gatepost, with the certificates that the guide supposes."""
    make_certificates(open_path)
    return open_path


def trusting(place: Path, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = Certificates(place / "ca.pem", place / "rsa.pem", place / "ecdsa.pem").client_context()
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def in_the_clear(edge: Edge, port: int) -> LineClient:
    """Connected, greeted, and in SMTP introduced."""
    client = LineClient.plain(edge.at[port])
    assert client.line().startswith(GREETINGS[port])
    if port == 587:
        client.send(b"EHLO client.test\r\n")
        client.upto(b"250 ")
    return client


def inside(edge: Edge, port: int, context: ssl.SSLContext) -> LineClient:
    """Encrypted, in whichever way ``port`` has; what the server says first under TLS has been read."""
    if port not in STARTTLS:
        client = LineClient.tls(edge.at[port], context)
        assert client.line().startswith(GREETINGS[port])
        return client
    client = in_the_clear(edge, port)
    command, answer = STARTTLS[port]
    assert client.command(command).startswith(answer)
    client.start_tls(context)
    return client


def reconnect(edge: Edge, context: ssl.SSLContext, session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession]:
    """One connection to the IMAPS port: whether it resumed ``session``, and the session to come back with."""
    with (
        socket.create_connection(("127.0.0.1", edge.at[993]), LIMIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as connection,
    ):
        assert connection.recv(4096).startswith(b"* OK")  # a ticket of TLS 1.3 comes before it
        assert connection.session is not None
        return bool(connection.session_reused), connection.session


def test_every_chapter_has_its_test() -> None:
    assert {one.title for one in read_guide(TLS_GUIDE)} == {
        RECOMMENDED,
        TWO_CERTIFICATES,
        CLIENT_CERTIFICATES,
        SESSIONS,
        TICKET_KEYS,
        STORE,
        TOKEN,
    }


class TestRecommended:
    @pytest.fixture
    def edge(self, place: Path) -> Iterator[Edge]:
        with Edge(place, chapter(RECOMMENDED).configuration) as running:
            yield running

    def test_modern_clients_are_served_and_nothing_is_said_in_the_clear(self, edge: Edge, place: Path) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for port in GREETINGS:
                inside(edge, port, trusting(place, version)).close()
        for port, (command, answer) in IN_THE_CLEAR.items():
            with in_the_clear(edge, port) as client:
                assert client.command(command).startswith(answer)
        assert "[warn]" not in edge.log() + edge.process.text()

    def test_forward_secrecy_authenticated_encryption_and_the_clients_chacha(self, edge: Edge, place: Path) -> None:
        for ciphers in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"):
            context = trusting(place, ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(ciphers)
            with pytest.raises(ssl.SSLError):
                inside(edge, 993, context)
        for ciphers, chosen in (
            ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
            ("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ):
            context = trusting(place, ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(ciphers)
            with (
                socket.create_connection(("127.0.0.1", edge.at[993]), LIMIT_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                assert (connection.cipher() or ("",))[0] == chosen


def test_two_certificates(place: Path) -> None:
    shown = chapter(TWO_CERTIFICATES)
    with Edge(place, shown.configuration) as edge:
        (script,) = shown.scripts
        lines = script.replace("mail.example.com:993", f"127.0.0.1:{edge.at[993]}").splitlines()
        signatures = [
            line
            for one in lines
            for line in shell(place, one).splitlines()
            if line.startswith("Peer signature type")
        ]
        assert signatures == ["Peer signature type: ECDSA", "Peer signature type: RSA-PSS"]


class TestClientCertificates:
    @pytest.fixture
    def service(self) -> Iterator[AuthService]:
        with AuthService(lambda _: refuse("not today")) as running:
            yield running

    @pytest.fixture
    def configuration(self, place: Path, service: AuthService) -> str:
        (script,) = chapter(CLIENT_CERTIFICATES).scripts
        shell(place, script)
        return chapter(CLIENT_CERTIFICATES).configuration.replace("127.0.0.1:9000", f"127.0.0.1:{service.port}")

    @staticmethod
    def bearing(place: Path, name: str) -> ssl.SSLContext:
        context = trusting(place)
        context.load_cert_chain(place / f"{name}.pem", place / f"{name}.key")
        return context

    def test_optional(self, place: Path, service: AuthService, configuration: str) -> None:
        with Edge(place, configuration) as edge:
            with inside(edge, 993, self.bearing(place, "alice")) as client:
                assert client.command(b"a AUTHENTICATE EXTERNAL YWxpY2U=") == b"a NO not today"
            with inside(edge, 993, trusting(place)) as client:
                assert client.command(b"a LOGIN alice secret") == b"a NO not today"
            # The server's own certificate is a client's, too, of an authority that is not asked for.
            with LineClient.tls(edge.at[993], self.bearing(place, "ecdsa")) as client:
                assert client.rest() == b"* BYE SSL certificate error\r\n"
        by_certificate, by_password = (request.headers for request in service.requests)
        assert by_certificate["Auth-Method"] == "external"
        assert by_certificate["Auth-User"] == "alice"
        assert by_certificate["Auth-SSL-Verify"] == "SUCCESS"
        assert by_certificate["Auth-SSL-Subject"] == "CN=alice"
        assert by_certificate["Auth-SSL-Issuer"] == "CN=Mail clients"
        assert {"Auth-SSL-Serial", "Auth-SSL-Fingerprint", "Auth-SSL-Cert"} <= set(by_certificate)
        assert by_password["Auth-Method"] == "plain"
        assert by_password["Auth-SSL-Verify"] == "NONE"

    @pytest.mark.parametrize(
        ("word", "without", "unknown"),
        [
            ("on", b"* BYE No required SSL certificate", b"* BYE SSL certificate error"),
            ("optional_no_ca", b"* OK", b"* OK"),
        ],
    )
    def test_the_other_words(
        self, place: Path, configuration: str, word: str, without: bytes, unknown: bytes
    ) -> None:
        assert configuration.count(" optional;") == 1
        with Edge(place, configuration.replace(" optional;", f" {word};")) as edge:
            for context, words in (
                (self.bearing(place, "alice"), b"* OK"),
                (trusting(place), without),
                (self.bearing(place, "ecdsa"), unknown),
            ):
                with LineClient.tls(edge.at[993], context) as client:
                    assert client.line().startswith(words)


@pytest.mark.parametrize(
    ("version", "tickets"),
    [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_sessions_on_many_workers(place: Path, version: ssl.TLSVersion, tickets: bool) -> None:
    with Edge(place, chapter(SESSIONS).configuration) as edge:
        context = trusting(place, version)
        if not tickets:
            context.options |= ssl.OP_NO_TICKET
        resumed, session = reconnect(edge, context, None)
        assert not resumed
        for _ in range(20):
            resumed, session = reconnect(edge, context, session)
            assert resumed
        assert len(set(edge.workers)) == 2


def test_rotating_ticket_keys(place: Path) -> None:
    shown = chapter(TICKET_KEYS)
    make, rotate = shown.scripts
    shell(place, make)
    assert [os.stat(place / name).st_size for name in ("ticket.key", "ticket.old.key")] == [80, 80]
    assert os.stat(place / "ticket.key").st_mode & 0o077 == 0
    context = trusting(place, ssl.TLSVersion.TLSv1_2)
    with Edge(place, shown.configuration) as edge:
        _, early = reconnect(edge, context, None)
        for _ in range(5):
            assert reconnect(edge, context, early)[0]
    shell(place, rotate)
    with Edge(place, shown.configuration) as edge:
        resumed, renewed = reconnect(edge, context, early)
        assert resumed
    shell(place, rotate)
    with Edge(place, shown.configuration) as edge:
        assert reconnect(edge, context, renewed)[0]  # under the first key of before
        assert not reconnect(edge, context, early)[0]  # it missed two rotations


def test_a_key_in_a_store(place: Path) -> None:
    (script,) = chapter(STORE).scripts
    shell(place, script)
    assert "ENCRYPTED" in (place / "sealed.key").read_text()
    (place / "ecdsa.key").unlink()
    with Edge(place, chapter(STORE).configuration) as edge:
        inside(edge, 993, trusting(place)).close()


def test_a_key_in_a_token(place: Path) -> None:
    tokens = place / "tokens"
    tokens.mkdir()
    (place / "softhsm2.conf").write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    env = {"SOFTHSM2_CONF": str(place / "softhsm2.conf")}
    (script,) = chapter(TOKEN).scripts
    shell(place, script, env)
    shell(place, f"chmod -R a+rwX {tokens}")  # the workers' user has access to the token
    (place / "ecdsa.key").unlink()
    with Edge(place, chapter(TOKEN).configuration, env) as edge:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            inside(edge, 993, trusting(place, version)).close()
