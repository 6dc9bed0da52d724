"""POP3 as the rest of gatepost sees it."""

from gatepost.protocol.pop3 import PROTOCOL


def test_facts() -> None:
    assert PROTOCOL.name == "pop3"
    assert PROTOCOL.ports == (110, 995)
    assert PROTOCOL.upstream_port == 110
    assert PROTOCOL.alpn == b"pop3"
    assert PROTOCOL.needs_password


def test_last_words() -> None:
    words = PROTOCOL.last_words
    assert words.internal_error == b"-ERR internal server error\r\n"
    assert words.certificate_error == b"-ERR SSL certificate error\r\n"
    assert words.certificate_missing == b"-ERR No required SSL certificate\r\n"
    assert words.shutting_down.startswith(b"-ERR [SYS/TEMP] ")
