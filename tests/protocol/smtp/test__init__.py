"""SMTP as the rest of gatepost sees it."""

from gatepost.protocol.smtp import PROTOCOL


def test_facts() -> None:
    assert PROTOCOL.name == "smtp"
    assert PROTOCOL.ports == (25, 465, 587)
    assert PROTOCOL.upstream_port == 25
    assert PROTOCOL.alpn == b"smtp"
    assert not PROTOCOL.needs_password


def test_last_words() -> None:
    words = PROTOCOL.last_words
    assert words.internal_error == b"451 4.3.2 Internal server error\r\n"
    assert words.certificate_error == b"421 4.7.1 SSL certificate error\r\n"
    assert words.certificate_missing == b"421 4.7.1 No required SSL certificate\r\n"
    assert words.shutting_down.startswith(b"421 ")
