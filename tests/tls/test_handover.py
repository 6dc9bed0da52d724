"""What a PROXY header can say about a client's TLS, on both back ends."""

import datetime
import ssl
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from gatepost.tls._load import Library
from gatepost.tls.handover import MAX_NAME_BYTES, Handover
from gatepost.tls.settings import ConfCommand

from .clients import client_context, connected, make_context
from .pki import Pki


def _asking(authority: str) -> tuple[ConfCommand, ...]:
    """Ask clients for a certificate by hand, whatever the directives for that do besides."""
    return (ConfCommand("VerifyMode", "Request", "/"), ConfCommand("VerifyCAFile", authority, "/"))


def test_a_client_without_a_certificate(library: Library, pki: Pki) -> None:
    client = client_context(pki, alpn=("imap",))
    with connected(make_context(library, pki), client) as (connection, _):
        found = connection.handover
    assert found == Handover(
        b"TLSv1.3",
        b"TLS_AES_256_GCM_SHA384",
        b"localhost",
        b"imap",
        b"ecdsa-with-SHA256",  # by which the CA has signed our certificate
        b"RSA2048",
        has_certificate=False,
        is_resumed=False,
        verify=0,
        client_name=b"",
    )


def test_the_certificate_that_the_client_was_shown(library: Library, pki: Pki) -> None:
    server = make_context(
        library, pki, ssl_certificate=(pki.rsa, pki.ecdsa), ssl_certificate_key=(pki.rsa_key, pki.ecdsa_key)
    )
    for cipher, key in (("ECDHE-RSA-AES128-GCM-SHA256", b"RSA2048"), ("ECDHE-ECDSA-AES128-GCM-SHA256", b"EC256")):
        client = client_context(pki)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.set_ciphers(cipher)
        with connected(server, client) as (connection, _):
            assert connection.handover.key == key
            assert connection.handover.cipher == cipher.encode()


def _self_signed(
    directory: Path, name: x509.Name, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
) -> str:
    """Certificate and key in one file."""
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)
    )
    path = directory / "self-signed.pem"
    path.touch(0o600)
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(path)


def _common_name(text: str) -> x509.Name:
    with warnings.catch_warnings():
        # The library that makes the certificate keeps to the 64 characters of X.520; others do not.
        warnings.simplefilter("ignore", UserWarning)
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)])


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (_common_name("Jörg"), "Jörg"),
        (_common_name("x" * MAX_NAME_BYTES), "x" * MAX_NAME_BYTES),
        (_common_name("x" * (MAX_NAME_BYTES + 1)), ""),
        (_common_name("a\r\nb"), "a\r\nb"),
        (x509.Name([]), ""),
        (x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Org")]), ""),
    ],
    ids=["UTF-8", "longest", "too long", "controls", "empty", "no common name"],
)
def test_the_name_in_a_client_certificate(
    library: Library, pki: Pki, tmp_path: Path, subject: x509.Name, shown: str
) -> None:
    path = _self_signed(tmp_path, subject, ec.generate_private_key(ec.SECP256R1()))
    client = client_context(pki)
    client.load_cert_chain(path)
    with connected(make_context(library, pki, ssl_conf_command=_asking(path)), client) as (connection, peer):
        connection.write(b"* OK ready\r\n")
        peer.read()  # the ticket comes with it
        found = connection.handover
        session = peer.tls.session
    assert (found.has_certificate, found.is_resumed, found.verify) == (True, False, 0)
    assert found.client_name == shown.encode()
    assert session is not None


def test_a_resumed_session_keeps_the_certificate(library: Library, pki: Pki) -> None:
    server = make_context(library, pki, ssl_conf_command=_asking(pki.root))
    client = client_context(pki)
    client.load_cert_chain(pki.rsa, pki.rsa_key)
    with connected(server, client) as (connection, peer):
        connection.write(b"* OK ready\r\n")
        peer.read()  # the ticket comes with it
        session = peer.tls.session
    with connected(server, client, session) as (connection, _):
        found = connection.handover
    assert (found.has_certificate, found.is_resumed, found.verify) == (True, True, 0)
    assert found.client_name == b"localhost"


def test_a_key_without_an_agreed_name(library: Library, pki: Pki, tmp_path: Path) -> None:
    path = _self_signed(tmp_path, _common_name("localhost"), ed25519.Ed25519PrivateKey.generate())
    server = make_context(library, pki, ssl_certificate=(path,), ssl_certificate_key=(path,))
    client = ssl.create_default_context(cafile=path)
    with connected(server, client) as (connection, _):
        found = connection.handover
    assert (found.signature, found.key) == (b"ED25519", b"")
