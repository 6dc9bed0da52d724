"""Every target can fail: each is shown code that was broken on purpose, and has to notice."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import pytest

from fuzz.targets import targets
from gatepost.auth import message, response
from gatepost.config import lexer
from gatepost.net import proxy_protocol, resolver
from gatepost.protocol import client, dialogue
from gatepost.protocol.client import BaseClient, Phase
from gatepost.protocol.events import Send, StartTls
from gatepost.protocol.framing import Framer
from gatepost.protocol.imap.upstream import ImapUpstream
from gatepost.protocol.pop3 import upstream as pop3_upstream
from gatepost.protocol.smtp import grammar as smtp_grammar
from gatepost.protocol.smtp.upstream import SmtpUpstream
from gatepost.protocol.upstream import BaseUpstream
from gatepost.tls.session_cache import ZoneCache

Break = Callable[[pytest.MonkeyPatch], None]


def _credentials_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(client, "check", lambda credentials, _command: credentials)
    patch.setattr(dialogue, "check", lambda credentials, _command: credentials)


def _starttls_keeps_its_input(patch: pytest.MonkeyPatch) -> None:
    """As in CVE-2011-0411."""

    def starttls(self: BaseClient[Any], reply: bytes) -> list[Any]:
        self._phase = Phase.HANDSHAKING
        return [Send(reply), StartTls()]

    patch.setattr(BaseClient, "_starttls", starttls)


def _lines_end_where_a_feed_does(patch: pytest.MonkeyPatch) -> None:
    """Looks for a line end in what is there from the start of the buffer only once."""

    def line(self: Framer) -> bytes | None:
        end = self._data.find(b"\n", self._searched) + 1
        if not end:
            self._searched = len(self._data) + 1
            return None
        return self._hand_out(end)

    patch.setattr(Framer, "line", line)


def _names_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(smtp_grammar, "is_name", lambda _argument: True)


def _lines_in_a_backend(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pop3_upstream, "breaks_lines", lambda _text: False)


def _password_kept(cls: type[BaseUpstream]) -> Break:
    return lambda patch: patch.setattr(cls, "_give_up", BaseUpstream._give_up)


def _any_base64(patch: pytest.MonkeyPatch) -> None:
    def decode(text: bytes) -> bytes | None:
        try:
            return base64.b64decode(text)
        except binascii.Error:
            return None

    patch.setattr(dialogue, "decode_base64", decode)


def _ports_from_the_service(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(message, "_port", lambda text: int(text) if text.isdigit() else None)
    patch.setattr(message, "_backend", message._backend.__wrapped__)  # which remembers what it was told before


def _chunks_end_anywhere(patch: pytest.MonkeyPatch) -> None:
    def receive(self: Any, data: bytes) -> response.Fate:
        self._parser.feed_data(data)
        return response.Fate.FREE if self._ended else response.Fate.OPEN

    patch.setattr(response._Chunked, "receive", receive)


def _ports_of_any_size(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proxy_protocol, "_port", lambda digits, _data: digits)


def _names_as_they_are(patch: pytest.MonkeyPatch) -> None:
    """As in CVE-2026-28753, but into the log."""
    patch.setattr(resolver, "quoted", lambda data: data.decode("latin-1"))


def _words_as_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lexer, "_unescaped", lambda word: word)


def _errors_left_behind(patch: pytest.MonkeyPatch) -> None:
    def parsed(self: ZoneCache, value: bytes) -> Any:
        source = self._ffi.from_buffer("unsigned char[]", value)
        return self._lib.d2i_SSL_SESSION(
            self._ffi.NULL, self._ffi.new("const unsigned char **", source), len(value)
        )

    patch.setattr(ZoneCache, "_parsed", parsed)


PLAIN = base64.b64encode(b"\0joe\r\nDELE 1\0secret")
HEAD = bytes((1, 0, 0, 0, 0, 0, 4, 7))  # IMAP: STARTTLS is offered; the first login is refused, the next accepted
BROKEN: dict[str, tuple[str, bytes, Break]] = {
    "IMAP, credentials": ("imap_client", HEAD + b"a AUTHENTICATE PLAIN " + PLAIN + b"\r\n", _credentials_unchecked),
    "IMAP, STARTTLS": ("imap_client", HEAD + b"a STARTTLS\r\nb NOOP\r\n~~", _starttls_keeps_its_input),
    "IMAP, lines": ("imap_client", HEAD + b"a NOOP\r\nb NOOP\r\n", _lines_end_where_a_feed_does),
    "POP3, credentials": (
        "pop3_client",
        bytes((0, 0, 0, 0, 0, 4, 7)) + b"AUTH PLAIN " + PLAIN + b"\r\n",
        _credentials_unchecked,
    ),
    "POP3, STLS": ("pop3_client", bytes((1, 0, 0, 0, 0, 4, 7)) + b"STLS\r\nNOOP\r\n~~", _starttls_keeps_its_input),
    "SMTP, STARTTLS": (
        "smtp_client",
        bytes((1, 0, 0, 0, 0, 0, 0, 0, 4, 7)) + b"~~STARTTLS\r\nNOOP\r\n~~",
        _starttls_keeps_its_input,
    ),
    "SMTP, names": (
        "smtp_client",
        bytes((0, 0, 0, 0, 0, 0, 0, 0, 4, 7)) + b"~~EHLO a\0b\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\n",
        _names_unchecked,
    ),
    "IMAP upstream, password": ("imap_upstream", b"\0\0\7* BYE\r\n", _password_kept(ImapUpstream)),
    "POP3 upstream, lines": ("pop3_upstream", b"\3\0\7+OK\r\n+OK\r\n+OK\r\n", _lines_in_a_backend),
    "SMTP upstream, password": (
        "smtp_upstream",
        bytes((0, 0, 1, 1, 1, 0, 0, 0, 1, 7)) + b"500 no\r\n",
        _password_kept(SmtpUpstream),
    ),
    "SASL, base64": ("sasl", b"\1\0AGpv*ZQBzZWNyZXQ=", _any_base64),
    "SASL, credentials": ("sasl", b"\0\1\0joe\r\0secret", _credentials_unchecked),
    "answers, ports": (
        "auth_answer",
        b"\0\1\7Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 65536\r\n\r\n",
        _ports_from_the_service,
    ),
    "answers, chunks": (
        "auth_answer",
        b"\0\1\7HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n",
        _chunks_end_anywhere,
    ),
    "PROXY, ports": ("proxy_header", b"\0PROXY TCP4 192.0.2.1 192.0.2.2 65536 1\r\n", _ports_of_any_size),
    "DNS, names": (
        "dns_answer",
        next(seed for seed in targets()["dns_answer"].seeds() if b"X-Injected" in seed),
        _names_as_they_are,
    ),
    "configuration, words": ("configuration", b'a "b\\"c";', _words_as_written),
    "TLS sessions, errors": ("tls_session", b"\1\x30\x82\xff\xff", _errors_left_behind),
}


@pytest.mark.parametrize(("name", "data", "sabotage"), BROKEN.values(), ids=BROKEN)
def test_a_target_notices(name: str, data: bytes, sabotage: Break) -> None:
    target = targets()[name]
    target.run(data)
    with pytest.MonkeyPatch.context() as patch:
        sabotage(patch)
        with pytest.raises(AssertionError):
            target.run(data)
    target.run(data)


def test_every_target_is_shown_something() -> None:
    assert {name for name, _, _ in BROKEN.values()} == set(targets())
