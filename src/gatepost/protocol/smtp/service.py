"""Turns one server's settings into what its SMTP sessions need, once."""

from typing import Final

from gatepost.address import Address
from gatepost.config.build import Server
from gatepost.protocol.rules import CommonRules, common_rules, usable
from gatepost.protocol.settings import ProtocolSettings
from gatepost.sasl import mechanisms

from . import grammar
from .client import SmtpClient, SmtpRules
from .settings import UNAUTHENTICATED, SmtpSettings
from .upstream import Route

# Room for the answer to EHLO of any server: a hundred extensions in lines of 512 bytes (RFC 5321 section
# 4.5.3.1.5) and more. ``proxy_buffer``, a page by default, counts where it is larger.
MIN_REPLY_BYTES: Final = 64 * 1024


class SmtpService:
    """One server. See ``Service`` for the contract."""

    __slots__ = ("rules",)

    def __init__(self, rules: SmtpRules) -> None:
        self.rules = rules

    def client(self, *, tls: bool, address: Address) -> SmtpClient:
        return SmtpClient(self.rules, tls=tls, address=address)


def serve(server: Server) -> SmtpService:
    name = server[ProtocolSettings].server_name.encode("utf-8", "surrogateescape")
    return SmtpService(rules(server[SmtpSettings], common_rules(server), name))


def rules(settings: SmtpSettings, common: CommonRules, name: bytes) -> SmtpRules:
    """``name`` is our own."""
    advertised = tuple(m for m in mechanisms() if m.word in settings.smtp_auth)
    words = (name, *settings.smtp_capabilities)
    offer = (b"AUTH " + b" ".join(mechanism.name.encode() for mechanism in advertised),) if advertised else ()
    clear = {
        "off": (*words, *offer),
        "on": (*words, *offer, b"STARTTLS"),
        "only": (*words, b"STARTTLS"),
    }
    return SmtpRules(
        common=common,
        buffer_bytes=settings.smtp_client_buffer,
        reply_bytes=max(common.proxy_buffer, MIN_REPLY_BYTES),
        mechanisms=usable(advertised),
        greeting=grammar.greeting(name),
        helo=grammar.hello((name,)),
        ehlo_clear=grammar.hello(clear[common.starttls]),
        ehlo_tls=grammar.hello((*words, *offer)),
        delay_seconds=settings.smtp_greeting_delay,
        unauthenticated=UNAUTHENTICATED in settings.smtp_auth,
        route=Route(name, settings.xclient, settings.proxy_smtp_auth),
    )
