"""What follows from the directives of all protocols."""

from pathlib import Path

import pytest

from gatepost.config.settings import ListenSettings
from gatepost.protocol.rules import CommonRules, common_rules, usable
from gatepost.protocol.settings import ProtocolSettings
from gatepost.sasl import cram_md5, external, mechanisms, plain
from gatepost.tls.settings import TlsSettings
from tests.reading import read


def test_the_settings_of_a_server(tmp_path: Path) -> None:
    text = "mail { server { listen 143; server_name post.example; max_errors 7; proxy_buffer 128k; } }"
    found = common_rules(read(tmp_path, text, ListenSettings, ProtocolSettings, TlsSettings).servers[0])
    assert (found.starttls, found.max_errors, found.proxy_buffer) == ("off", 7, 128 * 1024)
    assert found.challenge().endswith(b"@post.example>")
    assert found.challenge() != found.challenge()


@pytest.mark.parametrize(
    ("starttls", "may", "needs"), [("off", False, False), ("on", True, False), ("only", True, True)]
)
def test_starttls(starttls: str, may: bool, needs: bool) -> None:
    common = CommonRules(starttls=starttls, max_errors=5, proxy_buffer=4096, challenge=lambda: b"<1.2@host>")
    assert common.may_starttls is may
    assert common.login_needs_tls is needs


def test_mechanisms_that_may_be_used() -> None:
    assert list(usable(())) == [b"PLAIN", b"LOGIN"]
    assert usable([external.MECHANISM]) == usable([external.MECHANISM, plain.MECHANISM])
    assert list(usable([external.MECHANISM, cram_md5.MECHANISM])) == [b"PLAIN", b"LOGIN", b"CRAM-MD5", b"EXTERNAL"]
    assert tuple(usable(mechanisms()).values()) == mechanisms()
