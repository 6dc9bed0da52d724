"""The ``imap_*`` directives."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import MAIL, SERVER, Repeat, directive
from gatepost.config.kinds import SIZE, words
from gatepost.protocol.settings import CAPABILITIES
from gatepost.sasl import mechanisms


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapSettings:
    """What an IMAP listener obeys besides the directives of all protocols."""

    TITLE: ClassVar[str] = "IMAP"

    imap_client_buffer: int = directive(
        SIZE,
        MAIL | SERVER,
        default="4k",
        doc="""Longest command in bytes, with its literals, and longest line of a SASL exchange, before login. A
        client that sends more is answered with an error and disconnected. A session holds this much at most.""",
    )
    imap_auth: tuple[str, ...] = directive(
        words(*(mechanism.word for mechanism in mechanisms())),
        MAIL | SERVER,
        default="plain",
        repeat=Repeat.ADDS,
        doc="""SASL mechanisms that are advertised. ``plain`` and ``login`` always work, even where they are not
        listed; the others work only where they are.""",
    )
    imap_capabilities: tuple[bytes, ...] = directive(
        CAPABILITIES,
        MAIL | SERVER,
        default="IMAP4 IMAP4rev1 UIDPLUS",
        repeat=Repeat.ADDS,
        doc="""What the answer to CAPABILITY lists, as it is written here. Should be what the servers behind
        have in common. ``AUTH=``, ``STARTTLS`` and ``LOGINDISABLED`` are added as they apply.""",
    )


SETTINGS = (ImapSettings,)
