"""Certificates and keys for the tests, made once per test process and written as PEM files."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

PASSWORD = b"correct horse"


@dataclass(frozen=True)
class Pki:
    """Paths. ``chain_*`` hold leaf and intermediate; ``root`` is what clients trust."""

    directory: Path
    root: str
    rsa: str
    rsa_key: str
    rsa_key_encrypted: str
    rsa_bundle: str  # chain and key in one file
    other_rsa_key: str
    ecdsa: str
    ecdsa_key: str
    ecdsa_key_encrypted: str
    small_rsa: str  # 1024 bits: too small for security level 2
    small_rsa_key: str


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, key: PrivateKey, issuer: str, issuer_key: PrivateKey, *, authority: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def make(directory: Path) -> Pki:
    """Write everything into ``directory``."""

    def write(name: str, *parts: bytes) -> str:
        path = directory / name
        path.touch(0o600)  # a private key that others can read would be a warning
        path.write_bytes(b"".join(parts))
        return str(path)

    curve = ec.SECP256R1()
    root_key, middle_key, ecdsa_key = (ec.generate_private_key(curve) for _ in range(3))
    rsa_key, other_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    small_key = rsa.generate_private_key(65537, 1024)

    root = _certificate("root", root_key, "root", root_key, authority=True)
    middle = _certificate("middle", middle_key, "root", root_key, authority=True)

    def leaf(key: PrivateKey) -> bytes:
        return _certificate_pem(_certificate("localhost", key, "middle", middle_key, authority=False))

    middle_pem = _certificate_pem(middle)
    rsa_chain = leaf(rsa_key) + middle_pem
    return Pki(
        directory=directory,
        root=write("root.pem", _certificate_pem(root)),
        rsa=write("rsa.pem", rsa_chain),
        rsa_key=write("rsa.key", _key_pem(rsa_key)),
        rsa_key_encrypted=write("rsa.encrypted.key", _key_pem(rsa_key, PASSWORD)),
        rsa_bundle=write("bundle.pem", _key_pem(rsa_key), rsa_chain),
        other_rsa_key=write("other.key", _key_pem(other_key)),
        ecdsa=write("ecdsa.pem", leaf(ecdsa_key), middle_pem),
        ecdsa_key=write("ecdsa.key", _key_pem(ecdsa_key)),
        ecdsa_key_encrypted=write("ecdsa.encrypted.key", _key_pem(ecdsa_key, PASSWORD)),
        small_rsa=write("small.pem", leaf(small_key)),
        small_rsa_key=write("small.key", _key_pem(small_key)),
    )
