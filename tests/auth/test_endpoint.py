"""Texts of addresses in the configuration: the service's and the backend's."""

import socket

import pytest

from gatepost.address import Address, unix
from gatepost.auth.endpoint import AuthUrl, auth_url, backend_address
from gatepost.errors import ConfigError

V4 = Address(socket.AF_INET, "127.0.0.1", 80)
V6 = Address(socket.AF_INET6, "::1", 80)


@pytest.mark.parametrize(
    ("text", "address", "host", "uri"),
    [
        ("http://127.0.0.1", V4, "127.0.0.1", "/"),
        ("127.0.0.1", V4, "127.0.0.1", "/"),
        ("127.0.0.1/", V4, "127.0.0.1", "/"),
        ("127.0.0.1:9000/auth?x=1/2#f", Address(socket.AF_INET, "127.0.0.1", 9000), "127.0.0.1", "/auth?x=1/2#f"),
        ("127.0.0.1?x", V4, "127.0.0.1", "?x"),
        ("127.0.0.1?x/y:z", V4, "127.0.0.1", "?x/y:z"),
        ("127.0.0.1/a:b", V4, "127.0.0.1", "/a:b"),
        ("127.0.0.1:0080/\u00e9 ", V4, "127.0.0.1", "/\u00e9 "),
        ("http://[::1]/a", V6, "[::1]", "/a"),
        ("[::1]:65535?x", Address(socket.AF_INET6, "::1", 65535), "[::1]", "?x"),
        ("unix:/run/auth", unix("/run/auth"), "localhost", "/"),
        ("http://unix:/run/auth:", unix("/run/auth"), "localhost", "/"),
        ("unix:/run/auth:/a:b", unix("/run/auth"), "localhost", "/a:b"),
        ("unix:/run/auth:?x", unix("/run/auth"), "localhost", "?x"),
    ],
)
def test_urls(text: str, address: Address, host: str, uri: str) -> None:
    shown = text.removeprefix("http://")
    assert auth_url(text) == AuthUrl(address, host.encode(), uri.encode(), shown)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://example.com/", 'invalid port in auth_http "https://example.com/"'),
        ("HTTP://127.0.0.1/", 'invalid port in auth_http "HTTP://127.0.0.1/"'),
        ("http://no-such-host.invalid/x", 'host not found in auth_http "no-such-host.invalid/x"'),
        ("no..host.invalid", 'host not found in auth_http "no..host.invalid"'),
        ("\u00e9.invalid", 'host not found in auth_http "\u00e9.invalid"'),
        ("127.0.0.1:0", 'invalid port in auth_http "127.0.0.1:0"'),
        ("127.0.0.1:65536/", 'invalid port in auth_http "127.0.0.1:65536/"'),
        ("127.0.0.1:", 'invalid port in auth_http "127.0.0.1:"'),
        ("127.0.0.1:http", 'invalid port in auth_http "127.0.0.1:http"'),
        ("127.0.0.1:\u0664", 'invalid port in auth_http "127.0.0.1:\u0664"'),
        ("127.0.0.1:" + "9" * 5000, 'invalid port in auth_http "127.0.0.1:' + "9" * 5000 + '"'),
        ("http:///x", 'no host in auth_http "/x"'),
        ("/x", 'no host in auth_http "/x"'),
        (":80/x", 'no host in auth_http ":80/x"'),
        ("", 'no host in auth_http ""'),
        ("[::1", 'invalid host in auth_http "[::1"'),
        ("[::1]x", 'invalid host in auth_http "[::1]x"'),
        ("[::1]:0", 'invalid port in auth_http "[::1]:0"'),
        ("[::g]", 'invalid IPv6 address in auth_http "[::g]"'),
        ("[127.0.0.1]", 'invalid IPv6 address in auth_http "[127.0.0.1]"'),
        ("user:pw@host", 'invalid port in auth_http "user:pw@host"'),
        ("user@host", 'invalid host in auth_http "user@host"'),
        ("[fe80::1%a\r\nb]", 'invalid host in auth_http "[fe80::1%a\r\nb]"'),
        ("a\r\nb", 'invalid host in auth_http "a\r\nb"'),
        ("127.0.0.1/a\r\nb", 'invalid URI in auth_http "127.0.0.1/a\r\nb"'),
        ("unix:", 'no path in the unix domain socket in auth_http "unix:"'),
        ("unix::/x", 'no path in the unix domain socket in auth_http "unix::/x"'),
        ("unix:/" + "x" * 107, f'too long path in the unix domain socket in auth_http "unix:/{"x" * 107}"'),
    ],
)
def test_bad_urls(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        auth_url(text)
    assert str(caught.value) == message


def test_a_name_is_looked_up_and_stays_in_the_request() -> None:
    found = auth_url("http://localhost:9000/auth")
    assert found.host == b"localhost"
    assert found.address.host in ("127.0.0.1", "::1")
    assert found.address.port == 9000


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.5", Address(socket.AF_INET, "10.0.0.5", 0)),
        ("10.0.0.5:1143", Address(socket.AF_INET, "10.0.0.5", 1143)),
        ("[::1]", Address(socket.AF_INET6, "::1", 0)),
        ("[::1]:143", Address(socket.AF_INET6, "::1", 143)),
        ("unix:/run/imap:x", unix("/run/imap:x")),
    ],
)
def test_backends(text: str, address: Address) -> None:
    assert backend_address(text) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://10.0.0.5", 'invalid port in proxy_pass "http://10.0.0.5"'),
        ("10.0.0.5/x", 'invalid host in proxy_pass "10.0.0.5/x"'),
        ("10.0.0.5:0", 'invalid port in proxy_pass "10.0.0.5:0"'),
        ("::1", 'invalid port in proxy_pass "::1"'),
        ("no-such-host.invalid", 'host not found in proxy_pass "no-such-host.invalid"'),
        ("", 'no host in proxy_pass ""'),
        ("unix:", 'no path in the unix domain socket in proxy_pass "unix:"'),
    ],
)
def test_bad_backends(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        backend_address(text)
    assert str(caught.value) == message
