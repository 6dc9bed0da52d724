"""Turns one server's settings into what its IMAP sessions need, once."""

from typing import Final

from gatepost.address import Address
from gatepost.config.build import Server
from gatepost.protocol.rules import CommonRules, common_rules, usable
from gatepost.sasl import mechanisms

from . import grammar
from .client import ImapClient, ImapRules
from .settings import ImapSettings

# A greeting and the untagged responses at a login stay far below this; ``proxy_buffer``, a page by default, is too
# small for the capabilities and banners of some servers, and larger replies only if the operator says so.
MIN_REPLY_BYTES: Final = 64 * 1024


class ImapService:
    """One server. See ``Service`` for the contract."""

    __slots__ = ("rules",)

    def __init__(self, rules: ImapRules) -> None:
        self.rules = rules

    def client(self, *, tls: bool, address: Address) -> ImapClient:  # noqa: ARG002 - IMAP does not ask who it is
        return ImapClient(self.rules, tls=tls)


def serve(server: Server) -> ImapService:
    return ImapService(rules(server[ImapSettings], common_rules(server)))


def rules(settings: ImapSettings, common: CommonRules) -> ImapRules:
    advertised = tuple(m for m in mechanisms() if m.word in settings.imap_auth)
    words = settings.imap_capabilities
    with_auth = words + tuple(b"AUTH=" + mechanism.name.encode() for mechanism in advertised)
    clear = {
        "off": with_auth,
        "on": (*with_auth, b"STARTTLS"),
        "only": (*words, b"STARTTLS", b"LOGINDISABLED"),
    }
    return ImapRules(
        common=common,
        buffer_bytes=settings.imap_client_buffer,
        reply_bytes=max(common.proxy_buffer, MIN_REPLY_BYTES),
        mechanisms=usable(advertised),
        capability_clear=grammar.capability(clear[common.starttls]),
        capability_tls=grammar.capability(with_auth),
    )
