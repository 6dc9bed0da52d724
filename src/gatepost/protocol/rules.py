"""What is the same for all sessions of one server, whatever its protocol; worked out once, when a worker starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gatepost.config.build import Server
from gatepost.sasl import mechanisms
from gatepost.sasl.mechanism import Mechanism
from gatepost.tls.settings import TlsSettings

from .challenge import challenge_source
from .settings import ProtocolSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonRules:
    """What follows from the directives that all protocols obey."""

    starttls: str  # ``off``, ``on`` or ``only``
    max_errors: int  # invalid commands; refusals of a backend that decides
    proxy_buffer: int  # bytes
    challenge: Callable[[], bytes]  # makes a fresh one

    @property
    def may_starttls(self) -> bool:
        return self.starttls != "off"

    @property
    def login_needs_tls(self) -> bool:
        return self.starttls == "only"


def common_rules(server: Server) -> CommonRules:
    settings = server[ProtocolSettings]
    return CommonRules(
        starttls=server[TlsSettings].starttls,
        max_errors=settings.max_errors,
        proxy_buffer=settings.proxy_buffer,
        challenge=challenge_source(settings.server_name),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRules:
    """What every client machine needs; each protocol adds its own."""

    common: CommonRules
    buffer_bytes: int  # longest command; longest SASL response
    reply_bytes: int  # longest reply of an upstream
    mechanisms: dict[bytes, Mechanism]  # those that may be used, by name in upper case


def usable(advertised: Iterable[Mechanism]) -> dict[bytes, Mechanism]:
    """The mechanisms that clients may use where ``advertised`` are, by name in upper case."""
    listed = tuple(advertised)
    return {m.name.encode(): m for m in mechanisms() if m.always or m in listed}
