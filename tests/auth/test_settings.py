"""Directives of authentication: values, which of the two ways is in effect, and what each forbids."""

import socket
from pathlib import Path

import pytest

from gatepost.address import Address, unix
from gatepost.auth import authenticator
from gatepost.auth.backend import FixedBackend
from gatepost.auth.client import HttpAuth
from gatepost.auth.message import Accepted
from gatepost.auth.settings import AuthSettings, backend_decides
from gatepost.config.build import Server, defaults
from gatepost.config.settings import ListenSettings
from gatepost.net.room import Room
from gatepost.protocol import protocol_of
from gatepost.protocol.imap.settings import ImapSettings
from gatepost.protocol.pop3.settings import Pop3Settings
from gatepost.protocol.settings import ProtocolSettings
from tests.reading import mistake, read

from .service import ACCEPTED, KEPT, REQUEST, Peer, run, serving

GROUPS = (ListenSettings, ProtocolSettings, ImapSettings, AuthSettings)
HTTP = "auth_http 127.0.0.1:9000/auth;"
PASS = "proxy_pass 10.0.0.5;"


def mail(outer: str, *servers: str) -> str:
    """A ``mail`` block of one line for what stands outside and one for each server."""
    blocks = "\n".join(f"server {{ listen 127.0.0.{n}:143; {inner} }}" for n, inner in enumerate(servers, 1))
    return f"mail {{ {outer}\n{blocks}\n}}"


def server(tmp_path: Path, outer: str, inner: str = "") -> Server:
    return read(tmp_path, mail(outer, inner), *GROUPS).servers[0]


def refused(tmp_path: Path, outer: str, *inner: str) -> str:
    return mistake(tmp_path, mail(outer, *inner), *GROUPS)


def test_defaults() -> None:
    assert defaults(AuthSettings) == AuthSettings(
        auth_http=None,
        auth_http_timeout=60,
        auth_http_header=(),
        auth_http_pass_client_cert=False,
        proxy_pass=None,
    )


def test_values(tmp_path: Path) -> None:
    found = server(
        tmp_path,
        "",
        """auth_http http://[::1]:9000/a; auth_http_timeout 1500ms; auth_http_header X-Key "a b";
        auth_http_header Y ""; auth_http_pass_client_cert on;""",
    )[AuthSettings]
    assert found.auth_http is not None
    assert found.auth_http.address == Address(socket.AF_INET6, "::1", 9000)
    assert found.auth_http_timeout == 1.5
    assert found.auth_http_header == ((b"X-Key", b"a b"), (b"Y", b""))
    assert found.auth_http_pass_client_cert is True


def test_a_shared_secret_does_not_show(tmp_path: Path) -> None:
    assert "hush" not in repr(server(tmp_path, "", HTTP + "auth_http_header X-Key hush;")[AuthSettings])


def test_the_last_service_counts_and_headers_of_a_server_replace_the_others(tmp_path: Path) -> None:
    found = server(
        tmp_path,
        "auth_http 127.0.0.1; auth_http_header A 1; auth_http_header B 2;",
        "auth_http 127.0.0.2; auth_http 127.0.0.3; auth_http_header C 3;",
    )[AuthSettings]
    assert found.auth_http is not None
    assert found.auth_http.address.host == "127.0.0.3"
    assert found.auth_http_header == ((b"C", b"3"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auth_http https://x/;", 'invalid port in auth_http "https://x/" in :2'),
        ("auth_http;", 'invalid number of arguments in "auth_http" directive in :2'),
        (HTTP + "auth_http_timeout x;", '"auth_http_timeout" directive invalid value in :2'),
        (HTTP + "auth_http_timeout 1; auth_http_timeout 1;", '"auth_http_timeout" directive is duplicate in :2'),
        (HTTP + "auth_http_header A;", 'invalid number of arguments in "auth_http_header" directive in :2'),
        (HTTP + 'auth_http_header A "hush\\r\\nB: c";', 'line break in "auth_http_header" in :2'),
        (HTTP + 'auth_http_header "A\\n" b;', 'line break in "auth_http_header" in :2'),
        ("proxy_pass 10.0.0.5:x;", 'invalid port in proxy_pass "10.0.0.5:x" in :2'),
        (PASS + PASS, '"proxy_pass" directive is duplicate in :2'),
    ],
)
def test_bad_values(tmp_path: Path, text: str, message: str) -> None:
    assert refused(tmp_path, "", text) == message


def test_one_of_the_two_is_needed(tmp_path: Path) -> None:
    assert refused(tmp_path, "", HTTP, "") == 'no "auth_http" is defined for server in :3'


@pytest.mark.parametrize(
    ("outer", "inner", "by_backend"),
    [
        (HTTP, "", False),
        ("", HTTP, False),
        (PASS, "", True),
        ("", PASS, True),
        (HTTP, PASS, True),
        (PASS, HTTP, False),
        (HTTP + PASS, HTTP, False),
        (HTTP + PASS, PASS, True),
    ],
)
def test_the_nearer_one_is_in_effect(tmp_path: Path, outer: str, inner: str, by_backend: bool) -> None:
    found = server(tmp_path, outer, inner)
    assert backend_decides(found[AuthSettings], found) is by_backend
    assert authenticator(found, protocol_of(found), Room()).backend_decides is by_backend


@pytest.mark.parametrize(("outer", "inner", "line"), [(HTTP + "\n" + PASS, "", 1), ("", HTTP + "\n" + PASS, 2)])
def test_both_at_once_is_a_mistake(tmp_path: Path, outer: str, inner: str, line: int) -> None:
    found = refused(tmp_path, outer, inner)
    assert found == f'"proxy_pass" excludes "auth_http" of the same level in :{line}: use one in :{line + 1}'


@pytest.mark.parametrize("word", ["cram-md5", "external"])
def test_a_backend_that_decides_must_see_the_password(tmp_path: Path, word: str) -> None:
    reason = (
        f'"{word}" in "imap_auth" cannot be used with "proxy_pass": it does not reveal the password, '
        "without which nobody can log in to the backend"
    )
    assert refused(tmp_path, "", f"{PASS}\nimap_auth plain {word};") == f"{reason} in :3"
    assert refused(tmp_path, f"imap_auth {word};", HTTP, PASS) == f"{reason} in :1"
    found = server(tmp_path, f"imap_auth plain {word};", HTTP)
    assert backend_decides(found[AuthSettings], found) is False


@pytest.mark.parametrize("word", ["apop", "cram-md5", "external"])
def test_so_it_is_with_every_protocol(tmp_path: Path, word: str) -> None:
    text = f"mail {{ {PASS} server {{ listen 110;\npop3_auth plain {word};\n}} }}"
    found = mistake(tmp_path, text, *GROUPS[:2], Pop3Settings, AuthSettings)
    assert found.startswith(f'"{word}" in "pop3_auth" cannot be used with "proxy_pass"')
    assert found.endswith(" in :2")


def test_mechanisms_that_reveal_the_password_are_fine(tmp_path: Path) -> None:
    found = server(tmp_path, "imap_auth plain login;", PASS)
    assert backend_decides(found[AuthSettings], found)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.5", Address(socket.AF_INET, "10.0.0.5", 143)),
        ("10.0.0.5:1143", Address(socket.AF_INET, "10.0.0.5", 1143)),
        ("[::1]", Address(socket.AF_INET6, "::1", 143)),
        ("unix:/run/imap", unix("/run/imap")),
    ],
)
def test_the_backend_is_at_the_port_of_the_protocol_by_default(tmp_path: Path, text: str, address: Address) -> None:
    found = server(tmp_path, "", f"proxy_pass {text};")
    backend = authenticator(found, protocol_of(found), Room())
    assert isinstance(backend, FixedBackend)
    accepted = run(backend.ask(REQUEST))
    assert isinstance(accepted, Accepted)
    assert accepted.address == address


def test_the_service_is_asked_as_configured(tmp_path: Path) -> None:
    async def story() -> None:
        asked: list[bytes] = []

        async def script(peer: Peer) -> None:
            asked.append(await peer.request() or b"")
            await peer.send(KEPT)
            await peer.ended()

        async with serving(script) as service:
            text = f"auth_http http://{service.address}/a?b; auth_http_header X-Key hush;"
            found = server(tmp_path, "", text)
            auth = authenticator(found, protocol_of(found), Room())
            assert isinstance(auth, HttpAuth)
            assert await auth.ask(REQUEST) == ACCEPTED
            auth.close()
        assert asked[0].startswith(b"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1\r\nAuth-Method: plain\r\n")
        assert asked[0].endswith(b"\r\nX-Key: hush\r\n\r\n")

    run(story())
