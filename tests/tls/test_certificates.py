import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.tls._load import Library
from gatepost.tls.certificates import load_chain, load_key
from gatepost.tls.passwords import Passwords

from .pki import PASSWORD, Pki

RSA, EC = 6, 408  # EVP_PKEY_RSA, EVP_PKEY_EC

RIGHT = bytearray(PASSWORD + b"\0")
WRONG = bytearray(b"wrong\0")


def unexpected(message: str) -> None:
    raise AssertionError(message)


def key_kind(
    library: Library,
    name: str,
    passwords: Passwords | None = None,
    warn: Callable[[str], None] = unexpected,
) -> int:
    kind: int = library.lib.EVP_PKEY_get_base_id(load_key(library, name, passwords, "cert.pem", warn))
    assert library.lib.ERR_peek_error() == 0
    return kind


def refused(library: Library, name: str, passwords: Passwords | None = None, certificate: str = "cert.pem") -> str:
    with pytest.raises(ConfigError) as caught:
        load_key(library, name, passwords, certificate, unexpected)
    assert library.lib.ERR_peek_error() == 0
    return str(caught.value)


def refused_chain(library: Library, name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_chain(library, name)
    assert library.lib.ERR_peek_error() == 0
    return str(caught.value)


def text_of(path: str) -> str:
    return Path(path).read_text()


def test_a_chain_in_the_order_of_the_file(library: Library, pki: Pki) -> None:
    assert len(load_chain(library, pki.rsa)) == 2
    assert library.lib.ERR_peek_error() == 0


def test_a_key_in_the_file_is_passed_over(library: Library, pki: Pki) -> None:
    assert len(load_chain(library, pki.rsa_bundle)) == 2
    assert key_kind(library, pki.rsa_bundle) == RSA


def test_data_stands_for_a_file(library: Library, pki: Pki) -> None:
    assert len(load_chain(library, "data:" + text_of(pki.ecdsa))) == 2
    assert key_kind(library, "data:" + text_of(pki.ecdsa_key)) == EC


def test_a_certificate_that_is_not_there(library: Library) -> None:
    assert refused_chain(library, "/nonexistent.pem") == (
        'cannot load certificate "/nonexistent.pem": BIO_new_file() failed (SSL: '
        "error:80000002:system library::No such file or directory:calling fopen(/nonexistent.pem, r) "
        "error:10000080:BIO routines::no such file)"
    )


def test_a_file_without_a_certificate(library: Library, pki: Pki) -> None:
    text = refused_chain(library, pki.rsa_key)
    assert text.startswith(f'cannot load certificate "{pki.rsa_key}": PEM_read_bio_X509_AUX() failed (SSL: error:')
    assert "no start line" in text


@pytest.mark.parametrize("lines", [1, 5])
def test_truncated_files(library: Library, pki: Pki, tmp_path: Path, lines: int) -> None:
    path = tmp_path / "truncated.pem"
    path.write_text("".join(text_of(pki.ecdsa).splitlines(keepends=True)[:lines]))
    text = refused_chain(library, str(path))
    assert text.startswith(f'cannot load certificate "{path}": PEM_read_bio_X509_AUX() failed (SSL: error:0480006')
    path.write_text("".join(text_of(pki.rsa_key).splitlines(keepends=True)[:lines]))
    text = refused(library, str(path))
    assert text.startswith(f'cannot load certificate key "{path}": PEM_read_bio_PrivateKey() failed (SSL: error:')


def test_a_damaged_certificate_behind_the_first(library: Library, pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pem"
    path.write_text(text_of(pki.rsa) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    text = refused_chain(library, str(path))
    assert text.startswith(f'cannot load certificate "{path}": PEM_read_bio_X509() failed (SSL: error:')


@pytest.mark.parametrize("kind", ["file", "data"])
def test_an_encrypted_key_takes_the_first_password_that_fits(library: Library, pki: Pki, kind: str) -> None:
    name = pki.ecdsa_key_encrypted if kind == "file" else "data:" + text_of(pki.ecdsa_key_encrypted)
    assert key_kind(library, name, Passwords([WRONG, RIGHT, WRONG])) == EC
    assert key_kind(library, pki.rsa_key, Passwords([WRONG])) == RSA  # not encrypted: no password needed


def test_no_password_fits(library: Library, pki: Pki) -> None:
    text = refused(library, pki.rsa_key_encrypted, Passwords([bytearray(b"swordfish\0")] * 2))
    start = f'cannot load certificate key "{pki.rsa_key_encrypted}": PEM_read_bio_PrivateKey() failed (SSL: error:'
    assert text.startswith(start)
    assert text.endswith(') for certificate "cert.pem"')
    assert "swordfish" not in text


def test_a_password_longer_than_the_library_takes(library: Library, pki: Pki) -> None:
    heard: list[str] = []
    assert key_kind(library, pki.rsa_key, Passwords([bytearray(b"x" * 1025 + b"\0")]), heard.append) == RSA
    assert heard == ["password is truncated to 1024 bytes"]
    assert key_kind(library, pki.rsa_key, Passwords([bytearray(b"x" * 1024 + b"\0")])) == RSA


@pytest.mark.parametrize("mode", ["abi", ""])
def test_without_a_password_file_the_terminal_is_asked(pki: Pki, mode: str) -> None:
    script = (
        "import sys; from gatepost.tls._load import library; from gatepost.tls.certificates import load_key\n"
        "load_key(library(), sys.argv[1], None, 'cert.pem', print)"
    )
    # Without a terminal the question goes to standard error and the answer comes from standard input.
    done = subprocess.run(
        [sys.executable, "-c", script, pki.rsa_key_encrypted],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "GATEPOST_TLS": mode},
        input=PASSWORD + b"\n",
        capture_output=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Enter PEM pass phrase:" in done.stderr


def test_a_key_that_is_not_there_names_both_files(library: Library) -> None:
    text = refused(library, "/nonexistent.key")
    assert text.startswith(
        'cannot load certificate key "/nonexistent.key": BIO_new_file() failed (SSL: error:80000002:'
    )
    assert text.endswith('error:10000080:BIO routines::no such file) for certificate "cert.pem"')


def test_one_file_for_both_is_named_once(library: Library, pki: Pki) -> None:
    text = refused(library, pki.ecdsa, certificate=pki.ecdsa)
    assert text.startswith(
        f'cannot load certificate key "{pki.ecdsa}": PEM_read_bio_PrivateKey() failed (SSL: error:'
    )
    assert text.endswith(")")


def test_the_text_of_a_key_is_never_shown(library: Library, pki: Pki) -> None:
    damaged = text_of(pki.rsa_key).replace("\n", "\n#", 4)
    text = refused(library, "data:" + damaged, certificate="data:x")
    assert text.startswith('cannot load certificate key "data:...": PEM_read_bio_PrivateKey() failed (SSL: error:')
    assert text.endswith(') for certificate "data:..."')
    assert "BEGIN" not in text


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_store(library: Library, pki: Pki, encrypted: bool) -> None:
    path = pki.ecdsa_key_encrypted if encrypted else pki.ecdsa_key
    assert key_kind(library, f"store:file:{path}", Passwords([WRONG, RIGHT])) == EC


def test_a_store_without_passwords(library: Library, pki: Pki) -> None:
    assert key_kind(library, f"store:{pki.rsa_key}") == RSA


def test_a_store_that_cannot_be_opened(library: Library) -> None:
    text = refused(library, "store:file:/nonexistent")
    assert text.startswith(
        'cannot load certificate key "store:file:/nonexistent": OSSL_STORE_open() failed (SSL: error:'
    )


def test_a_store_without_a_key(library: Library, pki: Pki) -> None:
    text = refused(library, f"store:file:{pki.root}")
    assert text.startswith(f'cannot load certificate key "store:file:{pki.root}": OSSL_STORE_load() failed')


def test_a_store_that_no_provider_serves(library: Library) -> None:
    """The PIN in the URI is a secret, in our words and in the library's."""
    text = refused(library, "store:pkcs11:object=mail;type=private?pin-value=8721&x=y")
    assert text.startswith(
        'cannot load certificate key "store:pkcs11:object=mail;type=private?pin-value=...&x=y": '
        "OSSL_STORE_open() failed (SSL: error:"
    )
    assert "unregistered scheme" in text
    assert "8721" not in text


def test_a_store_with_the_wrong_password(library: Library, pki: Pki) -> None:
    text = refused(library, f"store:file:{pki.rsa_key_encrypted}", Passwords([bytearray(b"swordfish\0")]))
    assert text.startswith(
        f'cannot load certificate key "store:file:{pki.rsa_key_encrypted}": OSSL_STORE_load() failed (SSL: error:'
    )
    assert "swordfish" not in text
