import datetime
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatepost.tls._load import Library
from gatepost.tls.facts import Facts

from .client_pki import SUBJECT_TEXT, ClientPki
from .clients import client_context, connected, make_context
from .pki import Pki

BOTH = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def test_without_a_certificate(library: Library, pki: Pki) -> None:
    with connected(make_context(library, pki), client_context(pki)) as (connection, _):
        assert connection.facts == Facts(b"TLSv1.3", b"TLS_AES_256_GCM_SHA384")
        assert connection.facts is connection.facts
        assert connection.facts.certificate() == b""


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_an_older_protocol(library: Library, pki: Pki, cipher: str) -> None:
    client = client_context(pki)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(cipher)
    with connected(make_context(library, pki), client) as (connection, peer):
        assert connection.facts == Facts(b"TLSv1.2", cipher.encode())
        found = peer.tls.cipher()
        assert found is not None
        assert found[0] == cipher


def facts_of(library: Library, pki: Pki, mode: str, certificate: str | None, version: ssl.TLSVersion) -> Facts:
    client = client_context(pki)
    client.minimum_version = client.maximum_version = version
    if certificate is not None:
        client.load_cert_chain(certificate)
    context = make_context(library, pki, ssl_verify_client=mode, ssl_trusted_certificate=pki.root)
    with connected(context, client) as (connection, _):
        return connection.facts


@BOTH
def test_a_client_without_a_certificate(library: Library, pki: Pki, version: ssl.TLSVersion) -> None:
    facts = facts_of(library, pki, "optional", None, version)
    assert (facts.verify, facts.subject, facts.issuer, facts.serial, facts.fingerprint) == (b"NONE", *[b""] * 4)
    assert facts.certificate() == b""


@BOTH
def test_nobody_asked_for_a_certificate(
    library: Library, pki: Pki, client_pki: ClientPki, version: ssl.TLSVersion
) -> None:
    facts = facts_of(library, pki, "off", client_pki.by_root, version)
    assert (facts.verify, facts.subject, facts.issuer, facts.serial, facts.fingerprint) == (b"", *[b""] * 4)


@BOTH
@pytest.mark.parametrize(
    ("certificate", "verify", "issuer"),
    [
        ("foreign", b"FAILED:unable to verify the first certificate", b"CN=foreign root"),
        ("self_signed", b"FAILED:self-signed certificate", SUBJECT_TEXT),
    ],
)
def test_a_certificate_of_a_stranger(
    library: Library,
    pki: Pki,
    client_pki: ClientPki,
    version: ssl.TLSVersion,
    certificate: str,
    verify: bytes,
    issuer: bytes,
) -> None:
    path = getattr(client_pki, certificate)
    facts = facts_of(library, pki, "optional_no_ca", path, version)
    fingerprint = openssl(path, "-fingerprint", "-sha1").partition("=")[2].strip().replace(":", "").lower()
    assert (facts.verify, facts.subject, facts.issuer, facts.serial) == (verify, SUBJECT_TEXT, issuer, b"0ABC")
    assert facts.fingerprint.decode() == fingerprint
    # The connection is gone; the facts still know.
    pem = facts.certificate()
    assert pem.startswith(b"-----BEGIN CERTIFICATE-----\n")
    assert pem.endswith(b"\n-----END CERTIFICATE-----\n")
    assert Path(path).read_bytes().startswith(pem)


def test_success(library: Library, pki: Pki, client_pki: ClientPki) -> None:
    client = client_context(pki)
    client.load_cert_chain(client_pki.by_middle)
    context = make_context(library, pki, ssl_verify_client="on", ssl_client_certificate=client_pki.root)
    with connected(context, client) as (connection, _):
        assert (connection.facts.verify, connection.facts.issuer) == (b"SUCCESS", b"CN=client middle")


def openssl(path: str, *arguments: str) -> str:
    command = ["openssl", "x509", "-in", path, "-noout", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", b"CN=plain"),
        (
            ' #lead, "quote" + plus; <angle> \\ back=eq ',
            b'CN=\\ #lead\\, \\"quote\\" \\+ plus\\; \\<angle\\> \\\\ back=eq\\ ',
        ),
        ("#hash", b"CN=\\#hash"),
        ("a\r\nAuth-SSL-Verify: SUCCESS", b"CN=a\\0D\\0AAuth-SSL-Verify: SUCCESS"),
        ("tab\tdel\x7f", b"CN=tab\\09del\\7F"),
        ("日本", b"CN=\\E6\\97\\A5\\E6\\9C\\AC"),
    ],
)
@pytest.mark.parametrize(
    ("serial", "number"),
    [(1, b"01"), (0x80, b"80"), (0x1234, b"1234"), (2**150 + 1, b"40" + b"00" * 17 + b"01")],
)
def test_names_and_numbers(
    library: Library, pki: Pki, tmp_path: Path, name: str, shown: bytes, serial: int, number: bytes
) -> None:
    path = tmp_path / "client.pem"
    path.write_bytes(self_signed(name, serial))
    facts = facts_of(library, pki, "optional_no_ca", str(path), ssl.TLSVersion.TLSv1_3)
    assert (facts.subject, facts.serial) == (shown, number)


def self_signed(common_name: str, serial: int) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
