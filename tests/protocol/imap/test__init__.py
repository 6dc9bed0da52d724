"""IMAP as the rest of gatepost sees it."""

from gatepost.protocol.imap import PROTOCOL


def test_facts() -> None:
    assert PROTOCOL.name == "imap"
    assert PROTOCOL.ports == (143, 993)
    assert PROTOCOL.upstream_port == 143
    assert PROTOCOL.alpn == b"imap"
    assert PROTOCOL.needs_password


def test_last_words() -> None:
    words = PROTOCOL.last_words
    assert words.internal_error == b"* BAD internal server error\r\n"
    assert words.certificate_error == b"* BYE SSL certificate error\r\n"
    assert words.certificate_missing == b"* BYE No required SSL certificate\r\n"
    assert words.shutting_down.startswith(b"* BYE ")
