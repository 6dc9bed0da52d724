"""The ``smtp_*`` directives, and those for logging in to an SMTP server behind us."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import MAIL, SERVER, Repeat, directive, nginx
from gatepost.config.kinds import FLAG, SIZE, TIME, words
from gatepost.protocol.settings import CAPABILITIES
from gatepost.sasl import mechanisms

UNAUTHENTICATED = "none"  # the word of smtp_auth, and the method that the authentication service is told


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """What an SMTP listener obeys besides the directives of all protocols."""

    TITLE: ClassVar[str] = "SMTP"

    smtp_client_buffer: int = directive(
        SIZE,
        MAIL | SERVER,
        default="4k",
        doc="""Longest command in bytes, and longest line of a SASL exchange, before login. A client that sends
        more is answered with an error and disconnected. A session holds this much at most.""",
    )
    smtp_auth: tuple[str, ...] = directive(
        words(*(mechanism.word for mechanism in mechanisms()), UNAUTHENTICATED),
        MAIL | SERVER,
        default="plain login",
        repeat=Repeat.ADDS,
        doc="""SASL mechanisms that are advertised. ``plain`` and ``login`` always work, even where they are not
        listed; the others work only where they are. ``none`` lets mail in without a login: the authentication
        service then decides by sender and first recipient, and names the server that gets the mail.""",
    )
    smtp_capabilities: tuple[bytes, ...] = directive(
        CAPABILITIES,
        MAIL | SERVER,
        default="",
        repeat=Repeat.ADDS,
        doc="""Lines of the answer to EHLO, as they are written here: what the servers behind have in common and
        a client may use once it has logged in (``"SIZE 10485760"``, ``PIPELINING``, ``8BITMIME``,
        ``CHUNKING``). ``AUTH`` and ``STARTTLS`` are added as they apply. Before the login, BDAT and the like
        are refused, and what a refused chunk holds is thrown away.""",
    )
    smtp_greeting_delay: float = directive(
        TIME,
        MAIL | SERVER,
        default="0",
        doc="""How long the greeting is held back; ``0``: not at all. A client that talks before it is refused:
        many programs that send spam do.""",
    )
    xclient: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="on",
        doc="""Whether the server behind is told the client's address, name and login with XCLIENT. It must
        allow that to gatepost's address, and to nobody else; with ``off`` not even to gatepost's, because
        clients that have logged in talk to it from there.""",
    )
    proxy_smtp_auth: bool = directive(
        FLAG,
        MAIL | SERVER,
        default="off",
        origin=nginx("1.19.4"),
        doc="""Whether to log in to the server behind with AUTH PLAIN and the client's name and password. With
        ``proxy_pass`` that is done in any case, because nobody else has checked the password.""",
    )


SETTINGS = (SmtpSettings,)
