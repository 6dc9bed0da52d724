import contextlib
import os
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gatepost.config.build import defaults
from gatepost.errors import ConfigError
from gatepost.log import Level
from gatepost.tls._load import Library
from gatepost.tls.context import Context, server_context
from gatepost.tls.passwords import Passwords
from gatepost.tls.settings import ConfCommand, Keeping, SessionCache, TlsSettings, Zone

from .clients import Client, client_context, connected, first_session, make_context, pair, refusal
from .pki import PASSWORD, Pki

RECORD_OVERHEAD = 22  # bytes of TLS 1.3 with AES-GCM: header, type, tag

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

# Parameters for DHE, from RFC 7919 appendix A.1 (ffdhe2048), and 512 bits that nobody should take.
DH_2048 = ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"]
DH_512 = ["dhparam", "-dsaparam", "512"]


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def refused(library: Library, pki: Pki, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make_context(library, pki, **settings)
    assert caught.value.where is None
    return str(caught.value)


def warnings(library: Library, pki: Pki, **settings: Any) -> list[str]:
    heard: list[str] = []
    values = {"ssl_certificate": (pki.rsa,), "ssl_certificate_key": (pki.rsa_key,), **settings}
    server_context(defaults(TlsSettings, **values), alpn=b"imap", warn=heard.append, using=library)
    return heard


def limited(pki: Pki, version: ssl.TLSVersion, ciphers: str = "") -> ssl.SSLContext:
    context = client_context(pki)
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def commands(*pairs: tuple[str, str], directory: str = "/") -> tuple[ConfCommand, ...]:
    return tuple(ConfCommand(name, value, directory) for name, value in pairs)


# Certificates


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("form", ["files", "data", "bundle", "encrypted"])
def test_certificates_in_every_form(library: Library, pki: Pki, version: ssl.TLSVersion, form: str) -> None:
    chosen: dict[str, dict[str, Any]] = {
        "files": {},
        "data": {
            "ssl_certificate": ("data:" + Path(pki.rsa).read_text(),),
            "ssl_certificate_key": ("data:" + Path(pki.rsa_key).read_text(),),
        },
        "bundle": {"ssl_certificate": (pki.rsa_bundle,), "ssl_certificate_key": (pki.rsa_bundle,)},
        "encrypted": {
            "ssl_certificate_key": (pki.rsa_key_encrypted,),
            "ssl_password_file": Passwords([bytearray(b"no\0"), bytearray(PASSWORD + b"\0")]),
        },
    }
    with connected(make_context(library, pki, **chosen[form]), limited(pki, version)) as (_, client):
        # The client trusts only the root: the intermediate certificate came along.
        assert client.tls.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("order", ["rsa first", "ecdsa first"])
@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_the_client_gets_the_certificate_it_can_use(library: Library, pki: Pki, order: str, kind: str) -> None:
    files = [(pki.rsa, pki.rsa_key), (pki.ecdsa, pki.ecdsa_key)]
    if order == "ecdsa first":
        files.reverse()
    certificates, keys = zip(*files, strict=True)
    context = make_context(library, pki, ssl_certificate=certificates, ssl_certificate_key=keys)
    cipher = f"ECDHE-{kind}-AES128-GCM-SHA256"
    with connected(context, limited(pki, V12, cipher)) as (connection, _):
        assert connection.facts.cipher == cipher.encode()


def test_more_keys_than_certificates(library: Library, pki: Pki) -> None:
    context = make_context(library, pki, ssl_certificate_key=(pki.rsa_key, "/nonexistent"))
    with connected(context, client_context(pki)) as (connection, _):
        assert connection.facts.protocol == b"TLSv1.3"


def test_a_key_of_another_certificate(library: Library, pki: Pki) -> None:
    text = refused(library, pki, ssl_certificate_key=(pki.other_rsa_key,))
    assert text.startswith(f'SSL_CTX_use_PrivateKey("{pki.other_rsa_key}") failed (SSL: error:')
    assert text.endswith(f'key values mismatch) for certificate "{pki.rsa}"')


def test_a_key_of_another_type_is_a_warning(library: Library, pki: Pki) -> None:
    assert warnings(library, pki, ssl_certificate_key=(pki.ecdsa_key,)) == [
        f'certificate key "{pki.ecdsa_key}" is of another type than certificate "{pki.rsa}",'
        " handshakes with it will fail"
    ]


def test_a_certificate_too_weak_for_the_security_level(library: Library, pki: Pki) -> None:
    weak: dict[str, Any] = {"ssl_certificate": (pki.small_rsa,), "ssl_certificate_key": (pki.small_rsa_key,)}
    text = refused(library, pki, **weak, ssl_ciphers="DEFAULT:@SECLEVEL=2")
    assert re.fullmatch(
        rf'SSL_CTX_use_certificate\("{re.escape(pki.small_rsa)}"\) failed'
        r" \(SSL: error:[0-9A-F]+:SSL routines::ee key too small\)",
        text,
    )
    make_context(library, pki, **weak, ssl_ciphers="DEFAULT:@SECLEVEL=0")


def test_certificates_come_after_ciphers_and_before_groups(library: Library, pki: Pki) -> None:
    wrong: dict[str, Any] = {"ssl_certificate": ("/nonexistent",), "ssl_ecdh_curve": "nope"}
    assert refused(library, pki, **wrong, ssl_ciphers="NOPE").startswith('SSL_CTX_set_cipher_list("NOPE")')
    assert refused(library, pki, **wrong).startswith('cannot load certificate "/nonexistent"')


def test_compression_needs_a_newer_library(library: Library, pki: Pki) -> None:
    heard = warnings(library, pki, ssl_certificate_compression=True)
    if library.number < 0x30200000:
        assert heard == ['"ssl_certificate_compression" is not supported on this platform, ignored']
    else:
        assert heard in ([], ["SSL_CTX_compress_certs() failed, ignored"])


# Protocols and ciphers


@pytest.mark.parametrize(
    ("protocols", "accepted"),
    [
        (("TLSv1.2",), {V12}),
        (("TLSv1.3",), {V13}),
        (("TLSv1.2", "TLSv1.3"), {V12, V13}),
        (("SSLv2", "SSLv3", "TLSv1", "TLSv1.2"), {V12}),
    ],
)
def test_protocols(library: Library, pki: Pki, protocols: tuple[str, ...], accepted: set[ssl.TLSVersion]) -> None:
    context = make_context(library, pki, ssl_protocols=protocols)
    for version in (V12, V13):
        if version in accepted:
            with connected(context, limited(pki, version)) as (connection, _):
                assert connection.facts.protocol.decode() == version.name.replace("_", ".")
        else:
            with pair(context, limited(pki, version)) as (connection, client):
                error = refusal(connection, client)
                assert (error.reason, error.level) == ("unsupported protocol", Level.INFO)


def test_tls_1_0_needs_a_low_security_level(library: Library, pki: Pki) -> None:
    context = make_context(library, pki, ssl_protocols=("TLSv1",), ssl_ciphers="ALL:@SECLEVEL=0")
    client = client_context(pki)
    with contextlib.suppress(DeprecationWarning):
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    client.maximum_version = V12
    client.set_ciphers("ALL:@SECLEVEL=0")
    with connected(context, client) as (connection, _):
        assert connection.facts.protocol == b"TLSv1"


def test_ciphers(library: Library, pki: Pki) -> None:
    context = make_context(library, pki, ssl_ciphers="ECDHE-RSA-AES256-GCM-SHA384")
    with connected(context, limited(pki, V12)) as (connection, _):
        assert connection.facts.cipher == b"ECDHE-RSA-AES256-GCM-SHA384"
    with pair(context, limited(pki, V12, "ECDHE-RSA-AES128-GCM-SHA256")) as (connection, client):
        error = refusal(connection, client)
        assert (error.reason, error.level) == ("no shared cipher", Level.INFO)
    text = refused(library, pki, ssl_ciphers="NOPE")
    assert text == 'SSL_CTX_set_cipher_list("NOPE") failed (SSL: error:0A0000B9:SSL routines::no cipher match)'


@pytest.mark.parametrize("ours", [False, True])
def test_whose_order_of_ciphers(library: Library, pki: Pki, ours: bool) -> None:
    first, second = "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"
    context = make_context(library, pki, ssl_ciphers=f"{first}:{second}", ssl_prefer_server_ciphers=ours)
    with connected(context, limited(pki, V12, f"{second}:{first}")) as (connection, _):
        assert connection.facts.cipher.decode() == (first if ours else second)


# Key exchange


def test_dh_parameters(library: Library, pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "dh.pem"
    path.write_text(openssl(*DH_2048))
    client = limited(pki, V12, "DHE-RSA-AES128-GCM-SHA256")
    with connected(make_context(library, pki, ssl_dhparam=str(path)), client) as (connection, _):
        assert connection.facts.cipher == b"DHE-RSA-AES128-GCM-SHA256"
    with pair(make_context(library, pki), client) as (connection, peer):
        assert refusal(connection, peer).reason == "no shared cipher"


def test_dh_parameters_that_will_not_do(library: Library, pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "dh.pem"
    text = refused(library, pki, ssl_dhparam=str(path))
    assert text.startswith(f'BIO_new_file("{path}") failed (SSL: error:80000002:')
    path.write_text("nothing")
    text = refused(library, pki, ssl_dhparam=str(path))
    assert text.startswith(f'PEM_read_bio_Parameters("{path}") failed (SSL: error:')
    path.write_text(openssl(*DH_512))
    text = refused(library, pki, ssl_dhparam=str(path))
    assert text.startswith(f'SSL_CTX_set0_tmp_dh_pkey("{path}") failed (SSL: error:')
    assert "dh key too small" in text
    path.write_text(openssl("genpkey", "-genparam", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
    assert refused(library, pki, ssl_dhparam=str(path)) == f'SSL_CTX_set0_tmp_dh_pkey("{path}") failed'


@pytest.mark.parametrize(
    ("curve", "is_shared"), [("auto", True), ("X25519:prime256v1", True), ("secp521r1", False)]
)
def test_groups(library: Library, pki: Pki, curve: str, is_shared: bool) -> None:
    client = client_context(pki)
    client.set_ecdh_curve("prime256v1")
    with pair(make_context(library, pki, ssl_ecdh_curve=curve), client) as (connection, peer):
        if is_shared:
            with connected(make_context(library, pki, ssl_ecdh_curve=curve), client) as (found, _):
                assert found.facts.protocol == b"TLSv1.3"
        else:
            error = refusal(connection, peer)
            assert (error.reason, error.level) == ("no suitable key share", Level.INFO)


def test_an_unknown_group(library: Library, pki: Pki) -> None:
    text = refused(library, pki, ssl_ecdh_curve="X25519:nope")
    assert text.startswith('SSL_CTX_set1_curves_list("X25519:nope") failed')


# ALPN


@pytest.mark.parametrize("version", [V12, V13])
def test_alpn(library: Library, pki: Pki, version: ssl.TLSVersion) -> None:
    context = make_context(library, pki, alpn=b"pop3")
    client = limited(pki, version)
    with connected(context, client) as (connection, _):
        assert connection.handover.alpn == b""
    client.set_alpn_protocols(["imap", "pop3"])
    with connected(context, client) as (connection, peer):
        assert connection.handover.alpn == b"pop3"
        assert peer.tls.selected_alpn_protocol() == "pop3"
    client.set_alpn_protocols(["imap", "http/1.1", "pop"])
    with pair(context, client) as (connection, peer):
        error = refusal(connection, peer)
        assert (error.reason, error.level) == ("no application protocol", Level.INFO)
        with pytest.raises(ssl.SSLError, match="no application protocol"):
            peer.turn()


# Sessions


def resumption(library: Library, pki: Pki, version: ssl.TLSVersion, **settings: Any) -> tuple[bool, bool]:
    """Whether the client was given something to resume with, and whether the server then did."""
    server = make_context(library, pki, **settings)
    client = limited(pki, version)
    session = first_session(server, client)
    if session is None:
        return False, False
    with connected(server, client, session) as (connection, peer):
        assert connection.is_resumed == peer.tls.session_reused
        return bool(session.has_ticket or session.id), connection.is_resumed


OFF, NONE = SessionCache(Keeping.OFF), SessionCache(Keeping.NONE)
BUILTIN, SMALL = SessionCache(Keeping.BUILTIN), SessionCache(Keeping.BUILTIN, 10)
SHARED = SessionCache(Keeping.ZONE_ONLY, zone=Zone("SSL", 1 << 20))


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("cache", [OFF, NONE, BUILTIN, SHARED])
def test_tickets_resume_whatever_the_cache(
    library: Library, pki: Pki, version: ssl.TLSVersion, cache: SessionCache
) -> None:
    assert resumption(library, pki, version, ssl_session_cache=cache) == (True, True)


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize(("cache", "is_resumed"), [(OFF, False), (NONE, False), (BUILTIN, True), (SMALL, True)])
def test_without_tickets_the_cache_decides(
    library: Library, pki: Pki, version: ssl.TLSVersion, cache: SessionCache, is_resumed: bool
) -> None:
    found = resumption(library, pki, version, ssl_session_cache=cache, ssl_session_tickets=False)
    assert found[1] is is_resumed


@pytest.mark.parametrize(("cache", "has_id"), [(OFF, False), (NONE, True), (BUILTIN, True)])
def test_what_a_client_without_tickets_is_told(
    library: Library, pki: Pki, cache: SessionCache, has_id: bool
) -> None:
    server = make_context(library, pki, ssl_session_cache=cache, ssl_session_tickets=False)
    session = first_session(server, limited(pki, V12))
    assert (session is not None and len(session.id) == 32) is has_id


def test_a_session_is_for_the_same_certificates_only(library: Library, pki: Pki) -> None:
    """Even where two servers share their ticket keys, which one context stands for here."""
    server, other = make_context(library, pki), make_context(library, pki)
    client = client_context(pki)
    session = first_session(server, client)
    with connected(server, client, session) as (connection, _):
        assert connection.is_resumed
    lib, ffi = library.lib, library.ffi
    digest = ffi.new("unsigned char[]", b"another certificate!")
    assert lib.SSL_CTX_set_session_id_context(server.pointer, digest, 20)
    with connected(server, client, session) as (connection, _):
        assert not connection.is_resumed
    with connected(other, client, session) as (connection, _):
        assert not connection.is_resumed


def test_the_lifetime_of_a_session(library: Library, pki: Pki) -> None:
    session = first_session(make_context(library, pki, ssl_session_timeout=77), client_context(pki))
    assert session is not None
    assert session.ticket_lifetime_hint == 77


def test_one_ticket(library: Library, pki: Pki) -> None:
    """Two, the library's default, would cost twice."""
    sizes = []
    for count in ("0", "1", "2"):
        context = make_context(library, pki, ssl_conf_command=commands(("NumTickets", count)))
        sizes.append(bytes_after_handshake(context, pki))
    default = bytes_after_handshake(make_context(library, pki), pki)
    assert sizes[0] == 0 < sizes[1] < sizes[2]
    assert default == sizes[1]


def test_no_ticket_where_nothing_could_be_resumed(library: Library, pki: Pki) -> None:
    context = make_context(library, pki, ssl_session_cache=NONE, ssl_session_tickets=False)
    assert bytes_after_handshake(context, pki) == 0


def bytes_after_handshake(context: Context, pki: Pki) -> int:
    """How many bytes a server sends with its first words after a TLS 1.3 handshake, or before: its tickets."""
    with pair(context, limited(pki, V13)) as (connection, client):
        client.turn()
        connection.handshake()
        client.turn()
        connection.handshake()
        connection.write(b"* OK ready\r\n")
        total = -len(b"* OK ready\r\n") - RECORD_OVERHEAD
        with contextlib.suppress(BlockingIOError):
            while data := client.socket.recv(65536):
                total += len(data)
        return total


# ssl_conf_command


def test_commands_come_last_and_override(library: Library, pki: Pki) -> None:
    chosen = commands(("Ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"), ("MinProtocol", "TLSv1.3"))
    context = make_context(library, pki, ssl_conf_command=chosen)
    with connected(context, client_context(pki)) as (connection, _):
        assert connection.facts.cipher == b"TLS_CHACHA20_POLY1305_SHA256"
    with pair(context, limited(pki, V12)) as (connection, peer):
        assert refusal(connection, peer).reason == "unsupported protocol"


def test_files_of_commands_are_below_the_configuration(library: Library, pki: Pki) -> None:
    chosen = commands(("PrivateKey", "ecdsa.key"), ("Certificate", "ecdsa.pem"), directory=str(pki.directory))
    context = make_context(library, pki, ssl_certificate=(), ssl_certificate_key=(), ssl_conf_command=chosen[::-1])
    trusting = client_context(pki)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with connected(context, trusting) as (connection, _):
        assert connection.facts.protocol == b"TLSv1.3"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("Nope", "x", "unknown cmd name:cmd=Nope"),
        ("Protocol", "nope", "bad value:cmd=Protocol, value=nope"),
    ],
)
def test_commands_that_are_wrong(library: Library, pki: Pki, name: str, value: str, reason: str) -> None:
    text = refused(library, pki, ssl_conf_command=commands((name, value)))
    assert re.fullmatch(
        rf'SSL_CONF_cmd\("{name}", "{value}"\) failed \(SSL: error:[0-9A-F]+:SSL routines::{reason}\)', text
    )


def test_errors_of_others_are_not_taken_for_ours(library: Library, pki: Pki) -> None:
    library.lib.BIO_new_file(b"/nonexistent/other", b"r")
    text = refused(library, pki, ssl_ciphers="NOPE")
    assert "other" not in text
    library.lib.BIO_new_file(b"/nonexistent/other", b"r")
    make_context(library, pki)
    assert library.lib.ERR_peek_error() == 0


def test_many_contexts_are_given_back(library: Library, pki: Pki) -> None:
    before = len(os.listdir("/proc/self/fd"))  # what other tests left in this process is theirs
    for _ in range(50):
        with connected(make_context(library, pki), client_context(pki)) as (connection, client):
            assert isinstance(client, Client)
            assert connection.facts.protocol == b"TLSv1.3"
    assert len(os.listdir("/proc/self/fd")) < before + 50
