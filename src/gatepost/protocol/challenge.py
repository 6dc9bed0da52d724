"""Makes the challenges of CRAM-MD5 and APOP: the one place below ``protocol/`` that asks for chance and the time.

The machines stay pure: they are handed a source, and tests hand them another.
"""

import secrets
import time
from collections.abc import Callable


def challenge_source(server_name: str) -> Callable[[], bytes]:
    """A function whose every call gives a fresh ``<RANDOM.TIME@SERVER_NAME>``.

    The form is that of RFC 1939 section 7 and RFC 2195 section 2. RANDOM is below 2**31 and cannot be
    foretold; TIME is Unix time in seconds.
    """
    name = server_name.encode("utf-8", "surrogateescape")

    def challenge() -> bytes:
        return b"<%d.%d@%s>" % (secrets.randbelow(2**31), int(time.time()), name)

    return challenge
