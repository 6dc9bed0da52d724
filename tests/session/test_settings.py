"""Directives that every mail listener obeys."""

from pathlib import Path

import pytest

from gatepost.config.build import defaults
from gatepost.config.error_log import ErrorLog
from gatepost.config.settings import ListenSettings
from gatepost.log import Level
from gatepost.net.real_ip import Trusted
from gatepost.session.settings import SETTINGS, SessionSettings
from tests.reading import mistake, read

GROUPS = (ListenSettings, *SETTINGS)


def _server(tmp_path: Path, mail: str, server: str = "") -> SessionSettings:
    return read(tmp_path, f"mail {{ {mail} server {{ listen 1; {server} }} }}", *GROUPS).servers[0][SessionSettings]


def test_defaults(tmp_path: Path) -> None:
    found = _server(tmp_path, "")
    assert found == defaults(SessionSettings)
    assert (found.timeout, found.proxy_timeout) == (60.0, 86400.0)
    assert (found.proxy_pass_error_message, found.proxy, found.error_log) == (False, False, None)
    assert (found.proxy_protocol, found.set_real_ip_from) == ("off", Trusted())


def test_values_of_both_levels(tmp_path: Path) -> None:
    found = _server(
        tmp_path, "timeout 0; proxy_timeout 1500ms; proxy on; error_log a;", "timeout 5; error_log b info;"
    )
    assert (found.timeout, found.proxy_timeout, found.proxy) == (5.0, 1.5, True)
    assert found.error_log == (ErrorLog("/prefix/b", Level.INFO),)
    assert _server(tmp_path, "timeout 0;").timeout == 0


def test_the_header_for_the_backend(tmp_path: Path) -> None:
    found = [
        _server(tmp_path, f"proxy_protocol {outer};", inner and f"proxy_protocol {inner};").proxy_protocol
        for outer, inner in (("on", ""), ("V2", ""), ("v2", "off"), ("off", "On"))
    ]
    assert found == ["on", "v2", "off", "on"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proxy_protocol v1;", 'invalid value "v1" in :1'),
        ("proxy_protocol on; proxy_protocol on;", '"proxy_protocol" directive is duplicate in :1'),
        ("set_real_ip_from;", 'invalid number of arguments in "set_real_ip_from" directive in :1'),
        ("timeout x;", '"timeout" directive invalid value in :1'),
        ("timeout 1M;", '"timeout" directive invalid value in :1'),
        ("timeout 1; timeout 2;", '"timeout" directive is duplicate in :1'),
        ("proxy foo;", 'invalid value "foo" in "proxy" directive, it must be "on" or "off" in :1'),
        ("error_log a info warn;", 'duplicate log level "warn" in :1'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert mistake(tmp_path, f"mail {{ {text} }}", *GROUPS) == message
