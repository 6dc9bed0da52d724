import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ConfigError
from gatepost.tls._load import Library
from gatepost.tls.connection import Connection
from gatepost.tls.settings import Keeping, SessionCache
from gatepost.tls.verification import CertificateProblem

from .client_pki import ClientPki
from .clients import Client, client_context, connected, make_context
from .pki import Pki
from .served import serving

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH = pytest.mark.parametrize("version", [V12, V13])

NO_CERTIFICATE = "no certificate"
MISSING = "client sent no required SSL certificate"


def error(code: int, text: str) -> str:
    return f"client SSL certificate verify error: ({code}:{text})"


EXPIRED = error(10, "certificate has expired")
REVOKED = error(23, "certificate revoked")
NO_CRL = error(3, "unable to get certificate CRL")
SELF_SIGNED = error(18, "self-signed certificate")
SELF_SIGNED_CHAIN = error(19, "self-signed certificate in certificate chain")
NO_ISSUER = error(20, "unable to get local issuer certificate")
NOT_VERIFIED = error(21, "unable to verify the first certificate")


def client_with(pki: Pki, version: ssl.TLSVersion, certificate: str) -> ssl.SSLContext:
    context = client_context(pki)
    context.minimum_version = context.maximum_version = version
    if certificate != NO_CERTIFICATE:
        context.load_cert_chain(certificate)
    return context


def verdict(problem: CertificateProblem | None) -> str:
    return "" if problem is None else str(problem)


# mode, the client's certificate, further settings -> what the log says, nothing if the client is let in
OUTCOMES: list[tuple[str, str, dict[str, Any], str]] = [
    ("off", "foreign", {}, ""),
    ("off", NO_CERTIFICATE, {}, ""),
    ("on", "by_root", {}, ""),
    ("on", "by_middle", {}, ""),
    ("on", NO_CERTIFICATE, {}, MISSING),
    ("on", "foreign", {}, NOT_VERIFIED),
    ("on", "self_signed", {}, SELF_SIGNED),
    ("on", "expired", {}, EXPIRED),
    ("optional", NO_CERTIFICATE, {}, ""),
    ("optional", "by_root", {}, ""),
    ("optional", "foreign", {}, NOT_VERIFIED),
    ("optional", "self_signed", {}, SELF_SIGNED),
    ("optional", "expired", {}, EXPIRED),
    ("optional_no_ca", NO_CERTIFICATE, {}, ""),
    ("optional_no_ca", "by_root", {}, ""),
    ("optional_no_ca", "foreign", {}, ""),
    ("optional_no_ca", "self_signed", {}, ""),
    ("optional_no_ca", "by_deep", {}, ""),
    ("optional_no_ca", "expired", {}, EXPIRED),
    # How many authorities may stand in between.
    ("on", "by_root", {"ssl_verify_depth": 0}, ""),
    ("on", "by_middle", {"ssl_verify_depth": 0}, NO_ISSUER),
    ("on", "by_deep", {}, NO_ISSUER),
    ("on", "by_deep", {"ssl_verify_depth": 2}, ""),
    ("on", "by_deep", {"ssl_verify_depth": 2**40}, ""),
    # Lists of revoked certificates: each issuer in the chain has to have one.
    ("on", "by_root", {"ssl_crl": "root_crl"}, ""),
    ("on", "revoked", {"ssl_crl": "root_crl"}, REVOKED),
    ("on", "revoked", {}, ""),
    ("on", "by_middle", {"ssl_crl": "root_crl"}, NO_CRL),
    ("on", "by_middle", {"ssl_crl": "all_crls"}, ""),
    ("optional_no_ca", "revoked", {"ssl_crl": "root_crl"}, REVOKED),
    ("optional_no_ca", "by_middle", {"ssl_crl": "root_crl"}, NO_CRL),
    # Authorities that clients are not told of are trusted as well.
    ("on", "by_root", {"ssl_client_certificate": None, "ssl_trusted_certificate": "root"}, ""),
    ("on", "foreign", {"ssl_trusted_certificate": "foreign_root"}, ""),
    ("optional_no_ca", "by_root", {"ssl_client_certificate": None}, ""),
]


@BOTH
@pytest.mark.parametrize(("mode", "certificate", "more", "expected"), OUTCOMES)
def test_outcomes(
    library: Library,
    pki: Pki,
    client_pki: ClientPki,
    version: ssl.TLSVersion,
    mode: str,
    certificate: str,
    more: dict[str, Any],
    expected: str,
) -> None:
    settings: dict[str, Any] = {"ssl_client_certificate": "root", **more}
    for name in ("ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl"):
        if settings.get(name) is not None:
            settings[name] = getattr(client_pki, settings[name])
    context = make_context(library, pki, ssl_verify_client=mode, **settings)
    path = getattr(client_pki, certificate, certificate)
    # The handshake succeeds whatever came.
    with connected(context, client_with(pki, version, path)) as (connection, client):
        problem = connection.judge()
        assert verdict(problem) == expected
        assert problem is None or problem.missing == (expected == MISSING)
        connection.write(b"* BYE\r\n")
        assert client.read() == b"* BYE\r\n"
        assert library.lib.ERR_peek_error() == 0


def test_a_chain_that_ends_in_a_stranger(library: Library, pki: Pki, client_pki: ClientPki, tmp_path: Path) -> None:
    path = tmp_path / "with-its-root.pem"
    path.write_text(Path(client_pki.foreign).read_text() + Path(client_pki.foreign_root).read_text())
    for mode, expected in (("on", SELF_SIGNED_CHAIN), ("optional_no_ca", "")):
        context = make_context(library, pki, ssl_verify_client=mode, ssl_client_certificate=client_pki.root)
        with connected(context, client_with(pki, V13, str(path))) as (connection, _):
            assert verdict(connection.judge()) == expected


def resume(connection: Connection, client: Client) -> ssl.SSLSession:
    """What a client keeps of a connection that ends well."""
    connection.write(b"* BYE\r\n")
    assert client.read() == b"* BYE\r\n"
    session: ssl.SSLSession | None = client.tls.session
    assert session is not None
    connection.shutdown()
    return session


@BOTH
@pytest.mark.parametrize("certificate", ["expired", NO_CERTIFICATE])
def test_a_resumed_session_is_judged_again(
    library: Library, pki: Pki, client_pki: ClientPki, version: ssl.TLSVersion, certificate: str
) -> None:
    context = make_context(library, pki, ssl_verify_client="on", ssl_client_certificate=client_pki.root)
    client = client_with(pki, version, getattr(client_pki, certificate, certificate))
    with connected(context, client) as (connection, peer):
        first = verdict(connection.judge())
        session = resume(connection, peer)
    with connected(context, client, session) as (connection, _):
        assert connection.is_resumed
        assert verdict(connection.judge()) == first != ""


@BOTH
@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_forgotten_session(
    library: Library, pki: Pki, client_pki: ClientPki, version: ssl.TLSVersion, is_forgotten: bool
) -> None:
    context = make_context(
        library,
        pki,
        ssl_verify_client="optional",
        ssl_client_certificate=client_pki.root,
        ssl_session_cache=SessionCache(Keeping.BUILTIN),
        ssl_session_tickets=False,
    )
    client = client_with(pki, version, client_pki.expired)
    with connected(context, client) as (connection, peer):
        if is_forgotten:
            connection.forget_session()
        session = resume(connection, peer)
    with connected(context, client, session) as (connection, _):
        assert connection.is_resumed is not is_forgotten


def test_a_session_is_for_the_same_authorities_only(library: Library, pki: Pki, client_pki: ClientPki) -> None:
    """Those that are trusted, whether clients are told of them or not, and the revocation lists."""
    digests = []
    choices: tuple[dict[str, Any], ...] = (
        {},
        {"ssl_verify_client": "on", "ssl_client_certificate": client_pki.root},
        {"ssl_verify_client": "on", "ssl_client_certificate": client_pki.both_roots},
        {"ssl_verify_client": "on", "ssl_trusted_certificate": client_pki.root},
        {"ssl_verify_client": "on", "ssl_trusted_certificate": client_pki.both_roots},
        {"ssl_verify_client": "on", "ssl_trusted_certificate": client_pki.root, "ssl_verify_depth": 2},
        {
            "ssl_verify_client": "on",
            "ssl_trusted_certificate": client_pki.root,
            "ssl_crl": client_pki.root_crl,
        },
        {"ssl_verify_client": "off", "ssl_client_certificate": client_pki.root},
    )
    for settings in choices:
        context = make_context(library, pki, **settings)
        client = client_with(pki, V12, client_pki.by_root)
        with connected(context, client) as (connection, _):
            digests.append(session_context(library, connection))
    nothing, *different, off = digests
    assert len({nothing, *different}) == len(digests) - 1
    assert nothing == off


def session_context(library: Library, connection: Connection) -> str:
    """The session-id context, as openssl prints it of the session in DER."""
    lib, ffi = library.lib, library.ffi
    session = lib.SSL_get_session(connection._ssl)
    length = lib.i2d_SSL_SESSION(session, ffi.NULL)
    data = ffi.new("unsigned char[]", length)
    lib.i2d_SSL_SESSION(session, ffi.new("unsigned char **", data))
    shown = subprocess.run(
        ["openssl", "sess_id", "-inform", "DER", "-text", "-noout"],
        input=bytes(ffi.buffer(data)),
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    return next(line for line in shown.splitlines() if "Session-ID-ctx" in line)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"ssl_client_certificate": "root"}, ["CN = client root"]),
        ({"ssl_client_certificate": "both_roots"}, ["CN = client root", "CN = foreign root"]),
        ({"ssl_client_certificate": "root", "ssl_trusted_certificate": "foreign_root"}, ["CN = client root"]),
        ({"ssl_trusted_certificate": "foreign_root"}, None),
    ],
)
def test_which_authorities_clients_are_told(
    library: Library,
    pki: Pki,
    client_pki: ClientPki,
    version: str,
    settings: dict[str, str],
    names: list[str] | None,
) -> None:
    files: dict[str, Any] = {name: getattr(client_pki, value) for name, value in settings.items()}
    context = make_context(library, pki, ssl_verify_client="on", **files)
    with serving(context) as served:
        command = ["openssl", "s_client", version, "-connect", f"127.0.0.1:{served.port}", "-CAfile", pki.root]
        done = subprocess.run(command, input=b"Q\n", capture_output=True, timeout=60, check=False)
    shown = done.stdout.decode()
    assert ("No client certificate CA names sent" in shown) is (names is None), shown
    if names is not None:
        _, _, listed = shown.partition("Acceptable client certificate CA names\n")
        assert listed.splitlines()[: len(names) + 1][: len(names)] == names
        assert "CN = " not in listed.splitlines()[len(names)]


# Files


def refused(library: Library, pki: Pki, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make_context(library, pki, **settings)
    assert caught.value.where is None
    assert library.lib.ERR_peek_error() == 0
    return str(caught.value)


FILES = ("ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl")


def test_no_file_is_opened_while_verification_is_off(library: Library, pki: Pki) -> None:
    missing: dict[str, Any] = dict.fromkeys(FILES, "/nonexistent")
    make_context(library, pki, **missing)


@pytest.mark.parametrize("mode", ["on", "optional"])
def test_an_authority_is_needed(library: Library, pki: Pki, client_pki: ClientPki, mode: str) -> None:
    text = refused(library, pki, ssl_verify_client=mode, ssl_crl=client_pki.root_crl)
    assert text == "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client"


TROUBLES = {
    "missing": "BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:"
    "calling fopen({path}, r) error:10000080:BIO routines::no such file)",
    "empty": "{read}() failed (SSL: error:0480006C:PEM routines::no start line:Expecting: {kind})",
    "damaged": "{read}() failed (SSL: error:",
    "damaged behind a good one": "{read}() failed (SSL: error:",
    "truncated": "{read}() failed (SSL: error:0480006",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_files_that_will_not_do(
    library: Library, pki: Pki, client_pki: ClientPki, tmp_path: Path, name: str, trouble: str
) -> None:
    good = Path(client_pki.root_crl if name == "ssl_crl" else client_pki.root).read_text()
    lines = good.splitlines(keepends=True)
    damaged = lines[0] + "AAAA\n" + lines[-1]
    content = {
        "empty": "",
        "damaged": damaged,
        "damaged behind a good one": good + damaged,
        "truncated": "".join(lines[:-2]),
    }
    path = tmp_path / "file.pem"
    if trouble in content:
        path.write_text(content[trouble])
    text = refused(
        library,
        pki,
        **{"ssl_verify_client": "optional_no_ca", "ssl_client_certificate": client_pki.root, name: str(path)},
    )
    crl = name == "ssl_crl"
    read, kind = ("PEM_read_bio_X509_CRL", "X509 CRL") if crl else ("PEM_read_bio_X509_AUX", "TRUSTED CERTIFICATE")
    prefix = f'cannot load {"CRL" if crl else "certificate"} "{path}": '
    assert text.startswith(prefix + TROUBLES[trouble].format(path=path, read=read, kind=kind)), text


def test_certificates_come_before_and_parameters_after(library: Library, pki: Pki) -> None:
    wrong: dict[str, Any] = {"ssl_verify_client": "on", "ssl_dhparam": "/nonexistent"}
    assert refused(library, pki, **wrong).startswith("no ssl_client_certificate")
    assert refused(library, pki, **wrong, ssl_certificate=("/nonexistent",)).startswith("cannot load certificate")


def test_the_own_chain_is_not_completed(library: Library, pki: Pki) -> None:
    """What clients' certificates are verified with has no business in what we send."""
    leaf = Path(pki.rsa).read_text().split("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
    context = make_context(
        library,
        pki,
        ssl_certificate=("data:" + leaf,),
        ssl_verify_client="optional",
        ssl_client_certificate=pki.rsa,
        ssl_trusted_certificate=pki.root,
    )
    with serving(context) as served:
        command = ["openssl", "s_client", "-showcerts", "-connect", f"127.0.0.1:{served.port}"]
        done = subprocess.run(command, input=b"Q\n", capture_output=True, timeout=60, check=False)
    assert done.stdout.count(b"-----BEGIN CERTIFICATE-----") == 1
