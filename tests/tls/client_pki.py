"""Client certificates of all sorts, made once per test process: certificate, chain and key in one file each."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERIAL = 0xABC
SUBJECT = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Zürich"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test, Org"),
        x509.NameAttribute(NameOID.COMMON_NAME, "cl1"),
    ]
)
SUBJECT_TEXT = b"CN=cl1,O=Test\\, Org,ST=Z\\C3\\BCrich,C=CH"

TALKATIVE = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x\r\nAuth-SSL-Subject: CN=admin"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "CN=admin,O=others"),
    ]
)

_PEM = serialization.Encoding.PEM
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class ClientPki:
    """Paths. ``root`` signs ``middle``, which signs ``deep``; what signs a client's certificate is in its name."""

    root: str
    foreign_root: str
    both_roots: str  # the root twice, then the foreign one
    root_crl: str
    all_crls: str  # of the root and of the one in the middle
    by_root: str
    by_middle: str
    by_deep: str
    foreign: str
    self_signed: str
    expired: str
    revoked: str
    nameless: str  # no subject at all
    talkative: str  # names that are headers and TLVs of others


@dataclass(frozen=True)
class _Signer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _issue(
    subject: x509.Name, by: _Signer | None, *, authority: bool = False, serial: int = SERIAL, ends_in_days: int = 30
) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - 100 * _DAY)
        .not_valid_after(now + ends_in_days * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(by.key if by else key, hashes.SHA256())
    )
    return _Signer(certificate, key)


def _crl(by: _Signer, *revoked: x509.Certificate) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(now - _DAY)
        .next_update(now + 30 * _DAY)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(by.key, hashes.SHA256()).public_bytes(_PEM)


def make(directory: Path) -> ClientPki:
    """Write everything into ``directory``."""

    def write(name: str, *parts: bytes) -> str:
        path = directory / name
        path.touch(0o600)
        path.write_bytes(b"".join(parts))
        return str(path)

    def pem(signer: _Signer) -> bytes:
        return signer.certificate.public_bytes(_PEM)

    def client(name: str, leaf: _Signer, *chain: _Signer) -> str:
        key = leaf.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return write(name, pem(leaf), *map(pem, chain), key)

    root = _issue(_name("client root"), None, authority=True, serial=1)
    foreign = _issue(_name("foreign root"), None, authority=True, serial=1)
    middle = _issue(_name("client middle"), root, authority=True, serial=2)
    deep = _issue(_name("client deep"), middle, authority=True, serial=3)
    revoked = _issue(SUBJECT, root, serial=7)
    root_crl, middle_crl = _crl(root, revoked.certificate), _crl(middle)
    return ClientPki(
        root=write("root.pem", pem(root)),
        foreign_root=write("foreign.pem", pem(foreign)),
        both_roots=write("both.pem", pem(root), pem(root), pem(foreign)),
        root_crl=write("root.crl", root_crl),
        all_crls=write("all.crl", root_crl, middle_crl),
        by_root=client("by_root.pem", _issue(SUBJECT, root)),
        by_middle=client("by_middle.pem", _issue(SUBJECT, middle), middle),
        by_deep=client("by_deep.pem", _issue(SUBJECT, deep), deep, middle),
        foreign=client("foreign-client.pem", _issue(SUBJECT, foreign)),
        self_signed=client("self_signed.pem", _issue(SUBJECT, None)),
        expired=client("expired.pem", _issue(SUBJECT, root, ends_in_days=-1)),
        revoked=client("revoked.pem", revoked),
        nameless=client("nameless.pem", _issue(x509.Name([]), root)),
        talkative=client("talkative.pem", _issue(TALKATIVE, root)),
    )
