"""Before the first byte of mail or TLS: the proxy in front says for whom it connects.

Whatever follows the header is left in the socket, where OpenSSL will look for it.
"""

from gatepost.net.proxy_protocol import MAX_HEADER_BYTES, Proxied, broken, parse
from gatepost.net.stream import Stream


async def read_proxy_header(stream: Stream) -> Proxied | None:
    """Take exactly the header out of ``stream``; what it recorded. Raises HeaderError, StreamError."""
    seen = b""
    while True:
        fresh = await stream.peek(MAX_HEADER_BYTES - len(seen))
        if not fresh:
            raise broken(seen)
        header = parse(seen + fresh)
        if header is not None:
            stream.take(header.size - len(seen))
            return header.proxied
        # All of it belongs to the header. Left in the socket, it would make every wait for the rest end at once.
        stream.take(len(fresh))
        seen += fresh
