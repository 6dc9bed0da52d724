"""TLS contexts of whole configurations."""

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from gatepost.assembly import load
from gatepost.config.build import Installation
from gatepost.errors import ConfigError
from gatepost.tls.settings import TlsSettings
from gatepost.worker.contexts import speaks_tls, tls_contexts

from .scene import configure, quiet


def test_a_context_only_where_clients_can_come_to_a_handshake(tmp_path: Path, certificate: Path) -> None:
    keys = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    configuration = configure(
        tmp_path,
        f"""{keys}
        server {{ listen unix:{tmp_path}/a; protocol imap; }}
        server {{ listen unix:{tmp_path}/b ssl; protocol imap; }}
        server {{ listen unix:{tmp_path}/c; protocol imap; starttls on; }}
        server {{ listen unix:{tmp_path}/d; protocol imap; starttls only; }}
        server {{ listen unix:{tmp_path}/e; protocol imap; ssl on; }}""",
    )
    assert [speaks_tls(server) for server in configuration.servers] == [False, True, True, True, True]
    assert [context is None for context in tls_contexts(configuration, quiet)] == [True, False, False, False, False]


def test_what_servers_share_is_warned_of_once(tmp_path: Path, certificate: Path) -> None:
    path = tmp_path / "open.pem"
    path.write_bytes(certificate.read_bytes())
    path.chmod(0o644)
    configuration = configure(
        tmp_path,
        f"""ssl_certificate {path}; ssl_certificate_key {path};
        server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}
        server {{ listen unix:{tmp_path}/b ssl; protocol imap; }}""",
    )
    heard: list[str] = []
    assert None not in tls_contexts(configuration, heard.append)
    assert heard == [f'certificate key "{path}" can be read by every user of this machine']


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "engine.conf"
    path.write_text("ssl_engine gatepost_nowhere; mail { }")
    with pytest.raises(ConfigError, match=r'^ENGINE_by_id\("gatepost_nowhere"\) failed \(SSL: error:'):
        tls_contexts(load(Installation(str(path))), quiet)


def test_passwords_are_forgotten_once_the_keys_are_open(tmp_path: Path) -> None:
    secret = b"correct horse"
    chain = trustme.CA().issue_cert("localhost")
    key = serialization.load_pem_private_key(chain.private_key_pem.bytes(), None)
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(secret),
    )
    (tmp_path / "key.pem").write_bytes(sealed)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "chain.pem").write_bytes(chain.cert_chain_pems[0].bytes())
    (tmp_path / "passwords").write_bytes(secret + b"\n")
    configuration = configure(
        tmp_path,
        f"""ssl_certificate chain.pem; ssl_certificate_key key.pem; ssl_password_file passwords;
        server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}""",
    )
    passwords = configuration.servers[0][TlsSettings].ssl_password_file
    assert passwords is not None
    assert bytes(next(iter(passwords))) == secret + b"\0"
    assert tls_contexts(configuration, quiet)[0] is not None
    assert bytes(next(iter(passwords))) == bytes(len(secret) + 1)
