"""IMAP before login (RFC 9051, RFC 3501), as seen from both sides of the proxy."""

from typing import Final

from gatepost.protocol.machine import LastWords, Protocol

from .service import serve
from .settings import ImapSettings

PROTOCOL: Final = Protocol(
    name="imap",
    ports=(143, 993),
    needs_password=True,
    upstream_port=143,
    alpn=b"imap",
    settings=ImapSettings,
    serve=serve,
    last_words=LastWords(
        internal_error=b"* BAD internal server error\r\n",
        certificate_error=b"* BYE SSL certificate error\r\n",
        certificate_missing=b"* BYE No required SSL certificate\r\n",
        shutting_down=b"* BYE Server shutting down\r\n",
    ),
)
