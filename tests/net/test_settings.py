"""Directives about the network round a session."""

from pathlib import Path

import pytest

from gatepost.config.build import defaults
from gatepost.net.settings import ResolverSettings
from tests.reading import mistake, read


def test_defaults() -> None:
    assert defaults(ResolverSettings) == ResolverSettings(resolver=None, resolver_timeout=30)


def test_a_server_has_its_own_or_none_or_that_of_mail(tmp_path: Path) -> None:
    text = """mail { resolver 127.0.0.1 valid=5s; resolver_timeout 1500ms;
        server { } server { resolver off; } server { resolver 127.0.0.2; resolver_timeout 2; } }"""
    first, second, third = (server[ResolverSettings] for server in read(tmp_path, text, ResolverSettings).servers)
    assert first.resolver is not None
    assert first.resolver.valid_seconds == 5
    assert (first.resolver_timeout, second.resolver_timeout, third.resolver_timeout) == (1.5, 1.5, 2)
    assert second.resolver is None
    assert third.resolver is not None
    assert third.resolver.valid_seconds == 0
    assert str(third.resolver.addresses[0]) == "127.0.0.2:53"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resolver;", 'invalid number of arguments in "resolver" directive'),
        ("resolver 127.0.0.1; resolver 127.0.0.2;", '"resolver" directive is duplicate'),
        ("resolver off; resolver 127.0.0.1;", '"resolver" directive is duplicate'),
        ("resolver_timeout 1; resolver_timeout 2;", '"resolver_timeout" directive is duplicate'),
        ("resolver_timeout 1y;", '"resolver_timeout" directive invalid value'),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    assert mistake(tmp_path, f"mail {{ server {{ {text} }} }}", ResolverSettings) == f"{message} in :1"


def test_a_resolver_is_of_mail(tmp_path: Path) -> None:
    found = mistake(tmp_path, "resolver 127.0.0.1;", ResolverSettings)
    assert found == '"resolver" directive is not allowed here in :1'
