"""POP3 before login (RFC 1939, RFC 2449, RFC 2595, RFC 5034), as seen from both sides of the proxy."""

from gatepost.protocol.machine import LastWords, Protocol

from .service import serve
from .settings import Pop3Settings

PROTOCOL = Protocol(
    name="pop3",
    ports=(110, 995),
    needs_password=True,
    upstream_port=110,
    alpn=b"pop3",
    settings=Pop3Settings,
    serve=serve,
    last_words=LastWords(
        internal_error=b"-ERR internal server error\r\n",
        certificate_error=b"-ERR SSL certificate error\r\n",
        certificate_missing=b"-ERR No required SSL certificate\r\n",
        # RFC 3206 section 4: the client did nothing wrong and may come back soon.
        shutting_down=b"-ERR [SYS/TEMP] server shutting down\r\n",
    ),
)
