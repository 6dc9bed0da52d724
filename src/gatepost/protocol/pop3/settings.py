"""The ``pop3_*`` directives."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import MAIL, SERVER, Repeat, directive
from gatepost.config.kinds import words
from gatepost.protocol.settings import CAPABILITIES
from gatepost.sasl import login, mechanisms, plain
from gatepost.sasl.mechanism import Mechanism

APOP = "apop"  # a command of POP3 (RFC 1939 section 7), no mechanism of SASL


def word_of(mechanism: Mechanism) -> str:
    """What lists ``mechanism`` in ``pop3_auth``: its own word, but LOGIN comes and goes with PLAIN, as in nginx."""
    return plain.MECHANISM.word if mechanism is login.MECHANISM else mechanism.word


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop3Settings:
    """What a POP3 listener obeys besides the directives of all protocols."""

    TITLE: ClassVar[str] = "POP3"

    pop3_auth: tuple[str, ...] = directive(
        words(*dict.fromkeys((*map(word_of, mechanisms()), APOP))),
        MAIL | SERVER,
        default="plain",
        repeat=Repeat.ADDS,
        doc="""Ways to log in that are advertised. ``plain`` stands for USER and PASS, AUTH PLAIN and AUTH
        LOGIN, which always work, even where it is not listed; the others work only where they are. With
        ``apop`` or ``cram-md5`` the greeting holds a challenge.""",
    )
    pop3_capabilities: tuple[bytes, ...] = directive(
        CAPABILITIES,
        MAIL | SERVER,
        default="TOP USER UIDL",
        repeat=Repeat.ADDS,
        doc="""What the answer to CAPA lists, one word a line, as it is written here. Should be what the servers
        behind have in common. ``SASL`` and ``STLS`` are added as they apply.""",
    )


SETTINGS = (Pop3Settings,)
