import ssl

import pytest

from gatepost.tls._load import Library
from gatepost.tls.facts import Facts

from .clients import client_context, connected, make_context
from .pki import Pki


def test_everything_the_client_asked_for(library: Library, pki: Pki) -> None:
    client = client_context(pki, alpn=("smtp", "imap"))
    with connected(make_context(library, pki), client) as (connection, _):
        assert connection.facts == Facts(b"TLSv1.3", b"TLS_AES_256_GCM_SHA384", b"localhost", b"imap")
        assert connection.facts is connection.facts


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_nothing_asked_for(library: Library, pki: Pki, cipher: str) -> None:
    client = client_context(pki)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(cipher)
    with connected(make_context(library, pki), client) as (connection, peer):
        assert connection.facts == Facts(b"TLSv1.2", cipher.encode(), b"localhost", b"")
        found = peer.tls.cipher()
        assert found is not None
        assert found[0] == cipher
