"""One listener with an RSA and an ECDSA certificate: what openssl s_client gets, and what it is refused."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .certificates import Certificates
from .gateway import Gateway
from .line_client import LineClient
from .process import program
from .waiting import LIMIT_SECONDS

CONFIGURATION = """
    auth_http 127.0.0.1:9/never-asked;
    %s
    server {{
        listen 127.0.0.1:{0} ssl;
        protocol imap;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol imap;
        starttls on;
    }}
"""


@pytest.fixture(scope="module")
def gateway(directory: Path, certificates: Certificates) -> Iterator[Gateway]:
    with Gateway(directory, CONFIGURATION % certificates.directives("rsa", "ecdsa"), ports=2) as running:
        yield running


def s_client(port: int, certificates: Certificates, *arguments: str) -> tuple[int, str]:
    """Shake hands, say LOGOUT, return the exit status and everything shown."""
    command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(certificates.ca)]
    command += ["-verify_return_error", "-verify_hostname", "localhost", "-ign_eof", *arguments]
    done = subprocess.run(command, input=b"a LOGOUT\r\n", capture_output=True, check=False, timeout=LIMIT_SECONDS)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("starttls", [(), ("-starttls", "imap")], ids=["imaps", "starttls"])
@pytest.mark.parametrize(
    ("arguments", "protocol", "signature"),
    [
        (("-tls1_3", "-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256"), "TLSv1.3", "ECDSA"),
        (("-tls1_3", "-sigalgs", "ECDSA+SHA256"), "TLSv1.3", "ECDSA"),
        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"), "TLSv1.3", "RSA-PSS"),
        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA256"), "TLSv1.3", "RSA-PSS"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-sigalgs", "ECDSA+SHA256"), "TLSv1.2", "ECDSA"),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-sigalgs", "RSA+SHA256"), "TLSv1.2", "RSA"),
    ],
)
def test_certificate_by_signature_algorithm(
    gateway: Gateway,
    certificates: Certificates,
    starttls: tuple[str, ...],
    arguments: tuple[str, ...],
    protocol: str,
    signature: str,
) -> None:
    port = gateway.ports[1 if starttls else 0]
    status, shown = s_client(port, certificates, *starttls, *arguments)
    assert status == 0, shown
    assert f"Peer signature type: {signature}\n" in shown
    assert re.search(rf"^New, {protocol}, Cipher is ", shown, re.MULTILINE), shown
    assert "a OK completed" in shown


def test_alpn_imap_is_agreed(gateway: Gateway, certificates: Certificates) -> None:
    status, shown = s_client(gateway.ports[0], certificates, "-alpn", "pop3,imap")
    assert status == 0, shown
    assert "ALPN protocol: imap\n" in shown


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("port", [0, 1])
def test_wrong_alpn_is_refused(gateway: Gateway, certificates: Certificates, version: str, port: int) -> None:
    # ALPACA: a browser that was led here says "http/1.1" and must not get a session.
    starttls = ("-starttls", "imap") if port else ()
    status, shown = s_client(gateway.ports[port], certificates, *starttls, version, "-alpn", "http/1.1,h2")
    assert status != 0
    assert "alert no application protocol" in shown
    gateway.wait_for_log(r"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:.*no application protocol")


def test_old_tls_is_refused(gateway: Gateway, certificates: Certificates) -> None:
    status, shown = s_client(gateway.ports[0], certificates, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert status != 0
    assert "New, TLSv1.1" not in shown
    gateway.wait_for_log(r"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:.*unsupported protocol")


def test_plain_text_on_the_tls_port(gateway: Gateway) -> None:
    with LineClient.plain(gateway.ports[0]) as client:
        client.send(b"a CAPABILITY\r\n")
        # At most a TLS alert comes back, never a line of IMAP.
        assert b"IMAP" not in client.rest()
    gateway.wait_for_log(r"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:")
