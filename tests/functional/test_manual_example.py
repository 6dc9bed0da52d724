"""The example on the manual page of nginx's TLS module, old words and all, runs as it is for modern clients."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from .auth_service import AuthService, accept
from .certificates import Certificates, make_certificates
from .guide import SHOWN_DIRECTORY, Edge
from .line_client import LineClient
from .scripted_backend import ScriptedBackend, imap_login
from .waiting import LIMIT_SECONDS

# https://nginx.org/en/docs/mail/ngx_mail_ssl_module.html. Where it has dots, what makes a whole file of it.
EXAMPLE = """
worker_processes auto;

events {}

mail {
    auth_http 127.0.0.1:9000/auth;

    server {
        listen              993 ssl;
        protocol            imap;

        ssl_protocols       TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
        ssl_ciphers         AES128-SHA:AES256-SHA:RC4-SHA:DES-CBC3-SHA:RC4-MD5;
        ssl_certificate     /usr/local/nginx/conf/cert.pem;
        ssl_certificate_key /usr/local/nginx/conf/cert.key;
        ssl_session_cache   shared:SSL:10m;
        ssl_session_timeout 10m;
    }
}
"""


def backend(conversation: LineClient) -> None:
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK welcome\r\n")
    assert conversation.line() == b"b NOOP"
    conversation.send(b"b OK from the backend\r\n")


@pytest.fixture
def certificates(open_path: Path) -> Certificates:
    return make_certificates(open_path)


@pytest.fixture
def edge(open_path: Path, certificates: Certificates) -> Iterator[Edge]:
    certificates.rsa.rename(open_path / "cert.pem")
    certificates.rsa.with_suffix(".key").rename(open_path / "cert.key")
    with ScriptedBackend(backend) as behind, AuthService(lambda _: accept(behind.port)) as service:
        text = EXAMPLE.replace("/usr/local/nginx/conf", SHOWN_DIRECTORY)
        text = text.replace("127.0.0.1:9000", f"127.0.0.1:{service.port}")
        with Edge(open_path, text) as running:
            yield running


@pytest.mark.parametrize(
    ("version", "ciphers", "cipher"),
    [
        (ssl.TLSVersion.TLSv1_3, None, "TLS_AES_256_GCM_SHA384"),
        (ssl.TLSVersion.TLSv1_2, "AES128-SHA", "AES128-SHA"),  # the example's list has none of the newer ones
    ],
)
def test_it_serves_a_modern_client(
    edge: Edge, certificates: Certificates, version: ssl.TLSVersion, ciphers: str | None, cipher: str
) -> None:
    context = certificates.client_context()
    context.minimum_version = context.maximum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    session: ssl.SSLSession | None = None
    for visit in range(4):
        plain = socket.create_connection(("127.0.0.1", edge.at[993]), LIMIT_SECONDS)
        secure = context.wrap_socket(plain, server_hostname="localhost", session=session)
        with LineClient(secure) as client:
            assert client.line() == b"* OK IMAP4 ready"
            assert (secure.cipher() or ("",))[0] == cipher
            assert client.command(b"a LOGIN alice secret") == b"a OK welcome"
            assert client.command(b"b NOOP") == b"b OK from the backend"
            assert secure.session_reused == (visit > 0)
            session = secure.session
