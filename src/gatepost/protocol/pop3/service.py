"""Turns one server's settings into what its POP3 sessions need, once."""

from typing import Final

from gatepost.address import Address
from gatepost.config.build import Server
from gatepost.protocol.rules import CommonRules, common_rules, usable
from gatepost.sasl import cram_md5, mechanisms

from . import grammar
from .client import Pop3Client, Pop3Rules
from .settings import APOP, Pop3Settings, word_of

# Longest command, and longest response of SASL, line end included; one such line is all that a session keeps. RFC
# 2449 section 4 gives commands 255 bytes, RFC 5034 section 4 gives an exchange what its mechanism needs: a page has
# room for every token in use, where nginx's 128 bytes have not even for long passwords.
MAX_LINE_BYTES: Final = 4096


class Pop3Service:
    """One server. See ``Service`` for the contract."""

    __slots__ = ("rules",)

    def __init__(self, rules: Pop3Rules) -> None:
        self.rules = rules

    def client(self, *, tls: bool, address: Address) -> Pop3Client:  # noqa: ARG002 - POP3 does not ask who it is
        return Pop3Client(self.rules, tls=tls)


def serve(server: Server) -> Pop3Service:
    return Pop3Service(rules(server[Pop3Settings], common_rules(server)))


def rules(settings: Pop3Settings, common: CommonRules) -> Pop3Rules:
    advertised = tuple(m for m in mechanisms() if word_of(m) in settings.pop3_auth)
    names = tuple(m.name.encode() for m in advertised)
    words = settings.pop3_capabilities
    with_sasl = (*words, grammar.sasl(names))
    clear = {
        "off": with_sasl,
        "on": (*with_sasl, b"STLS"),
        "only": (*(word for word in words if word.upper() != b"USER"), b"STLS"),
    }
    apop = APOP in settings.pop3_auth
    return Pop3Rules(
        common=common,
        buffer_bytes=MAX_LINE_BYTES,
        reply_bytes=common.proxy_buffer,
        mechanisms=usable(advertised),
        greets_with_challenge=apop or cram_md5.MECHANISM in advertised,
        apop=apop,
        capa_clear=grammar.capabilities(clear[common.starttls]),
        capa_tls=grammar.capabilities(with_sasl),
        methods=grammar.methods(names),
    )
