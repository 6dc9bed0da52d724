"""Client certificates: who is let in, what the others hear inside TLS, what the authentication service is told."""

import base64
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.tls import client_pki
from tests.tls.client_pki import SUBJECT_TEXT, ClientPki

from .auth_service import AuthService, accept
from .certificates import Certificates
from .dovecot import PASSWORD, Dovecot
from .gateway import Gateway
from .line_client import LineClient
from .process import program
from .waiting import LIMIT_SECONDS

MODES = ("on", "optional", "optional_no_ca")
PROTOCOLS = ("imap", "pop3", "smtp")
LISTENERS = [(mode, protocol) for mode in MODES for protocol in PROTOCOLS]
STARTTLS = len(LISTENERS)  # from here on: one listener for each protocol, mode "on"

ERROR = {
    "imap": b"* BYE SSL certificate error\r\n",
    "pop3": b"-ERR SSL certificate error\r\n",
    "smtp": b"421 4.7.1 SSL certificate error\r\n",
}
MISSING = {
    "imap": b"* BYE No required SSL certificate\r\n",
    "pop3": b"-ERR No required SSL certificate\r\n",
    "smtp": b"421 4.7.1 No required SSL certificate\r\n",
}
GREETING = {"imap": b"* OK ", "pop3": b"+OK ", "smtp": b"220 "}
UPGRADE = {"imap": (b"a STARTTLS", b"a OK"), "pop3": (b"STLS", b"+OK"), "smtp": (b"STARTTLS", b"220 2.0.0")}

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


def configuration(service: int, certificates: Certificates, pki: ClientPki) -> str:
    mechanisms = "".join(f"{protocol}_auth plain external;\n" for protocol in PROTOCOLS)
    servers = [
        f"server {{{{ listen 127.0.0.1:{{{number}}} ssl; protocol {protocol}; ssl_verify_client {mode}; }}}}"
        for number, (mode, protocol) in enumerate(LISTENERS)
    ]
    servers += [
        f"server {{{{ listen 127.0.0.1:{{{STARTTLS + number}}}; protocol {protocol}; ssl_verify_client on;"
        " starttls only; }}"
        for number, protocol in enumerate(PROTOCOLS)
    ]
    return f"""
        auth_http 127.0.0.1:{service};
        auth_http_pass_client_cert on;
        server_name mail.example;
        {mechanisms}
        {certificates.directives("ecdsa")}
        ssl_client_certificate {pki.root};
        {" ".join(servers)}
    """


@pytest.fixture(scope="module")
def pki(directory: Path) -> ClientPki:
    files = directory / "clients"
    files.mkdir()
    return client_pki.make(files)


@pytest.fixture(scope="module")
def service(dovecot: Dovecot) -> Iterator[AuthService]:
    # The certificate is the proof; the backend gets the password from the service.
    with AuthService(lambda _request: accept(dovecot.port, Auth_Pass=PASSWORD)) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates, service: AuthService, pki: ClientPki) -> Iterator[Gateway]:
    mail = configuration(service.port, certificates, pki)
    with Gateway(directory, mail, ports=STARTTLS + len(PROTOCOLS)) as running:
        yield running


def context_with(certificates: Certificates, version: ssl.TLSVersion, certificate: str) -> ssl.SSLContext:
    context = certificates.client_context()
    context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(certificate)
    return context


OUTCOMES = {
    ("on", ""): "missing",
    ("on", "by_root"): "in",
    ("on", "foreign"): "21:unable to verify the first certificate",
    ("on", "expired"): "10:certificate has expired",
    ("optional", ""): "in",
    ("optional", "by_middle"): "in",
    ("optional", "self_signed"): "18:self-signed certificate",
    ("optional_no_ca", "self_signed"): "in",
    ("optional_no_ca", "expired"): "10:certificate has expired",
}


@VERSIONS
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("mode", "certificate"), OUTCOMES)
def test_who_is_let_in(
    gateway: Gateway,
    certificates: Certificates,
    pki: ClientPki,
    version: ssl.TLSVersion,
    protocol: str,
    mode: str,
    certificate: str,
) -> None:
    port = gateway.ports[LISTENERS.index((mode, protocol))]
    context = context_with(certificates, version, getattr(pki, certificate, ""))
    outcome = OUTCOMES[mode, certificate]
    with LineClient.tls(port, context) as client:
        if outcome == "in":
            assert client.line().startswith(GREETING[protocol])
            return
        assert client.rest() == (MISSING if outcome == "missing" else ERROR)[protocol]
    expected = "client sent no required SSL certificate"
    if outcome != "missing":
        expected = f"client SSL certificate verify error: ({outcome})"
    gateway.wait_for_log(
        rf"\[info\] .*{re.escape(expected)} while SSL handshaking, client: 127\.0\.0\.1, "
        rf"server: 127\.0\.0\.1:{port}\n"
    )


@VERSIONS
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("certificate", ["", "expired", "by_root"])
def test_after_starttls(
    gateway: Gateway,
    certificates: Certificates,
    pki: ClientPki,
    version: ssl.TLSVersion,
    protocol: str,
    certificate: str,
) -> None:
    port = gateway.ports[STARTTLS + PROTOCOLS.index(protocol)]
    command, answer = UPGRADE[protocol]
    with LineClient.plain(port) as client:
        assert client.line().startswith(GREETING[protocol])
        assert client.command(command).startswith(answer)
        client.start_tls(context_with(certificates, version, getattr(pki, certificate, "")))
        if certificate == "by_root":
            assert client.command(b"x NOOP" if protocol == "imap" else b"NOOP")
            return
        assert client.rest() == (ERROR if certificate else MISSING)[protocol]
    gateway.wait_for_log(
        r"\[info\] .*client (sent no required SSL certificate|SSL certificate verify error: \(10:certificate has "
        rf"expired\)) while in starttls state, client: 127\.0\.0\.1 using starttls, server: 127\.0\.0\.1:{port}\n"
    )


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_hears_the_words_and_a_close_notify(
    gateway: Gateway, certificates: Certificates, pki: ClientPki, version: str
) -> None:
    port = gateway.ports[LISTENERS.index(("on", "imap"))]
    command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(certificates.ca)]
    command += [version, "-cert", pki.expired, "-key", pki.expired, "-ign_eof", "-msg"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LIMIT_SECONDS
    )
    shown = done.stdout.decode(errors="replace")
    assert "* BYE SSL certificate error\r\n" in shown
    assert re.search(r"<<< TLS 1\.[23], Alert \[length 0002\], warning close_notify", shown), shown
    assert "Acceptable client certificate CA names\nCN = client root\n" in shown


@VERSIONS
@pytest.mark.parametrize(
    ("mode", "certificate", "verify", "issuer"),
    [
        ("on", "by_root", "SUCCESS", "CN=client root"),
        ("optional_no_ca", "foreign", "FAILED:unable to verify the first certificate", "CN=foreign root"),
    ],
)
def test_a_login_with_a_certificate(
    gateway: Gateway,
    certificates: Certificates,
    pki: ClientPki,
    service: AuthService,
    dovecot: Dovecot,
    version: ssl.TLSVersion,
    mode: str,
    certificate: str,
    verify: str,
    issuer: str,
) -> None:
    """AUTHENTICATE EXTERNAL: the service decides by the certificate, and a real mailbox is behind it."""
    user = dovecot.fresh_user()
    path = getattr(pki, certificate)
    port = gateway.ports[LISTENERS.index((mode, "imap"))]
    with LineClient.tls(port, context_with(certificates, version, path)) as client:
        assert client.line().startswith(b"* OK ")
        name = base64.b64encode(user.encode())
        client.send(b"a AUTHENTICATE EXTERNAL " + name + b"\r\n")
        assert client.upto(b"a ")[-1].startswith(b"a OK")
        client.send(b"b SELECT INBOX\r\n")
        assert client.upto(b"b ")[-1].startswith(b"b OK")
    (asked,) = [request.headers for request in service.requests if request.headers["Auth-User"] == user]
    assert (asked["Auth-Method"], asked["Auth-Pass"]) == ("external", "")
    assert asked["Auth-SSL-Verify"] == verify
    assert asked["Auth-SSL-Subject"] == SUBJECT_TEXT.decode()
    assert asked["Auth-SSL-Issuer"] == issuer
    assert asked["Auth-SSL-Serial"] == "0ABC"
    assert asked["Auth-SSL-Fingerprint"] == fingerprint(path)
    pem = unquote(asked["Auth-SSL-Cert"])
    assert pem.endswith("-----END CERTIFICATE-----\n")
    assert Path(path).read_text().startswith(pem)
    names = list(asked)
    start = names.index("Auth-SSL")
    assert [name.removeprefix("Auth-SSL") for name in names[start : start + 9]] == [
        "",
        "-Protocol",
        "-Cipher",
        "-Verify",
        "-Subject",
        "-Issuer",
        "-Serial",
        "-Fingerprint",
        "-Cert",
    ]


def test_a_login_without_a_certificate(
    gateway: Gateway, certificates: Certificates, service: AuthService, dovecot: Dovecot
) -> None:
    user = dovecot.fresh_user()
    port = gateway.ports[LISTENERS.index(("optional", "imap"))]
    with LineClient.tls(port, certificates.client_context()) as client:
        assert client.line().startswith(b"* OK ")
        client.send(f'a LOGIN {user} "{PASSWORD}"\r\n'.encode())
        assert client.upto(b"a ")[-1].startswith(b"a OK")
    (asked,) = [request.headers for request in service.requests if request.headers["Auth-User"] == user]
    assert asked["Auth-SSL-Verify"] == "NONE"
    assert not {"Auth-SSL-Subject", "Auth-SSL-Serial", "Auth-SSL-Cert"} & set(asked)


def fingerprint(path: str) -> str:
    command = [program("openssl"), "x509", "-in", path, "-noout", "-fingerprint", "-sha1"]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_SECONDS, text=True).stdout
    return shown.partition("=")[2].strip().replace(":", "").lower()
