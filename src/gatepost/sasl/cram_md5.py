"""CRAM-MD5 (RFC 2195): the client proves that it knows the password without sending it.

The digest is checked by the authentication service, which knows the password; here it is only cut out.
"""

from collections.abc import Callable
from typing import Final

from .mechanism import Credentials, Exchange, Mechanism, SaslError

DIGEST_BYTES: Final = 32  # an MD5 digest in hexadecimal digits


def exchange(challenge: Callable[[], bytes]) -> Exchange:
    """One message: ``user SP digest`` (RFC 2195 section 2), in answer to a challenge that is used only once.

    Cut at the first space, as nginx does. Raises SaslError if the digest has not 32 bytes.
    """
    salt = challenge()
    message = yield salt
    user, _, digest = message.partition(b" ")
    if len(digest) != DIGEST_BYTES:
        raise SaslError("client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
    return Credentials("cram-md5", user, digest, cleartext=False, salt=salt)


MECHANISM: Final = Mechanism("CRAM-MD5", rfc="RFC 2195", exchange=exchange, rank=30, initial_response=False)
