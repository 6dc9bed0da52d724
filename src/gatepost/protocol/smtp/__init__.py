"""SMTP before login (RFC 5321, RFC 4954), as seen from both sides of the proxy."""

from gatepost.protocol.machine import LastWords, Protocol

from .service import serve
from .settings import SmtpSettings

PROTOCOL = Protocol(
    name="smtp",
    ports=(25, 465, 587),
    needs_password=False,
    upstream_port=25,
    alpn=b"smtp",
    settings=SmtpSettings,
    serve=serve,
    last_words=LastWords(
        internal_error=b"451 4.3.2 Internal server error\r\n",
        certificate_error=b"421 4.7.1 SSL certificate error\r\n",
        certificate_missing=b"421 4.7.1 No required SSL certificate\r\n",
        shutting_down=b"421 4.3.2 Server shutting down\r\n",
    ),
)
