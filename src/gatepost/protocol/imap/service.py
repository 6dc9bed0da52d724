"""Turns one server's settings into what its IMAP sessions need, once."""

from collections.abc import Callable

from gatepost.address import Address
from gatepost.config.build import Server
from gatepost.protocol.challenge import challenge_source
from gatepost.protocol.settings import ProtocolSettings
from gatepost.sasl import mechanisms
from gatepost.tls.settings import TlsSettings

from . import grammar
from .client import ImapClient, ImapRules
from .settings import ImapSettings

# A greeting and the untagged responses at a login stay far below this; ``proxy_buffer``, a page by default, is too
# small for the capabilities and banners of some servers, and larger replies only if the operator says so.
MIN_REPLY_BYTES = 64 * 1024


class ImapService:
    """One server. See ``Service`` for the contract."""

    __slots__ = ("rules",)

    def __init__(self, rules: ImapRules) -> None:
        self.rules = rules

    def client(self, *, tls: bool, address: Address) -> ImapClient:  # noqa: ARG002 - IMAP does not ask who it is
        return ImapClient(self.rules, tls=tls)


def serve(server: Server) -> ImapService:
    common = server[ProtocolSettings]
    return ImapService(
        rules(
            server[ImapSettings],
            starttls=server[TlsSettings].starttls,
            max_errors=common.max_errors,
            proxy_buffer=common.proxy_buffer,
            challenge=challenge_source(common.server_name),
        )
    )


def rules(
    settings: ImapSettings, *, starttls: str, max_errors: int, proxy_buffer: int, challenge: Callable[[], bytes]
) -> ImapRules:
    """``starttls`` is ``off``, ``on`` or ``only``; ``proxy_buffer`` is in bytes."""
    advertised = tuple(m for m in mechanisms() if m.word in settings.imap_auth)
    words = settings.imap_capabilities
    with_auth = words + tuple(b"AUTH=" + mechanism.name.encode() for mechanism in advertised)
    clear = {
        "off": with_auth,
        "on": (*with_auth, b"STARTTLS"),
        "only": (*words, b"STARTTLS", b"LOGINDISABLED"),
    }
    usable = (mechanism for mechanism in mechanisms() if mechanism.always or mechanism in advertised)
    return ImapRules(
        buffer_bytes=settings.imap_client_buffer,
        max_errors=max_errors,
        reply_bytes=max(proxy_buffer, MIN_REPLY_BYTES),
        may_starttls=starttls != "off",
        login_needs_tls=starttls == "only",
        capability_clear=grammar.capability(clear[starttls]),
        capability_tls=grammar.capability(with_auth),
        mechanisms={mechanism.name.encode(): mechanism for mechanism in usable},
        challenge=challenge,
    )
