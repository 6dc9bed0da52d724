import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatepost.tls._load import Library
from gatepost.tls.advice import EXPIRY_DAYS, advise_on_key_file, advise_on_validity
from gatepost.tls.certificates import load_chain

from .pki import Pki

HOUR = 3600
DAY = 24 * HOUR


def valid(starts: int, ends: int) -> bytes:
    """A certificate that is valid from ``starts`` to ``ends``, in seconds from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + datetime.timedelta(seconds=starts))
        .not_valid_after(now + datetime.timedelta(seconds=ends))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def advice(library: Library, path: Path) -> list[str]:
    heard: list[str] = []
    advise_on_validity(library, load_chain(library, str(path)), str(path), heard.append)
    return heard


@pytest.mark.parametrize(
    ("starts", "ends", "words"),
    [
        (-DAY, 30 * DAY, None),
        (-DAY, EXPIRY_DAYS * DAY + HOUR, None),
        (-DAY, EXPIRY_DAYS * DAY - HOUR, "expires in 13 days"),
        (-DAY, DAY + HOUR, "expires in 1 day"),
        (-DAY, HOUR, "expires in less than a day"),
        (-2 * DAY, -HOUR, "has expired"),
        (-400 * DAY, -366 * DAY, "has expired"),
        (HOUR, 30 * DAY, "is not valid yet"),
        (10 * DAY, 12 * DAY, "is not valid yet"),
    ],
)
def test_validity(library: Library, tmp_path: Path, starts: int, ends: int, words: str | None) -> None:
    path = tmp_path / "cert.pem"
    path.write_bytes(valid(starts, ends))
    assert advice(library, path) == ([] if words is None else [f'certificate "{path}" {words}'])
    assert library.lib.ERR_peek_error() == 0


def test_the_chain_is_looked_at_too(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    path.write_bytes(valid(-DAY, 30 * DAY) + valid(-DAY, 30 * DAY) + valid(-2 * DAY, -DAY))
    assert advice(library, path) == [f'certificate 3 of the chain in "{path}" has expired']


def test_the_text_of_a_certificate_is_not_shown(library: Library) -> None:
    heard: list[str] = []
    name = "data:" + valid(-2 * DAY, -DAY).decode()
    advise_on_validity(library, load_chain(library, name), name, heard.append)
    assert heard == ['certificate "data:..." has expired']


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
@pytest.mark.parametrize("prefix", ["", "store:file:"])
def test_key_files(pki: Pki, tmp_path: Path, mode: int, is_open: bool, prefix: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(Path(pki.ecdsa_key).read_bytes())
    path.chmod(mode)
    heard: list[str] = []
    advise_on_key_file(f"{prefix}{path}", heard.append)
    assert heard == ([f'certificate key "{path}" can be read by every user of this machine'] if is_open else [])


@pytest.mark.parametrize("name", ["data:x", "store:pkcs11:x", "engine:a:/etc/passwd", "/nonexistent", os.devnull])
def test_what_is_no_file_of_ours(name: str) -> None:
    heard: list[str] = []
    advise_on_key_file(name, heard.append)
    assert heard == []
