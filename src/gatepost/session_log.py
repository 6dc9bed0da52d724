"""The log of one session: the error log's lines, with what they say about the session behind them."""

from .log import Level, Log, quoted


class SessionLog:
    """The log of one session: what every line of it ends with, kept up to date as the session goes on.

    ``action`` is what we are doing (``SSL handshaking``); ``login`` is raw and escaped when shown;
    ``client``, ``server`` and ``upstream`` are texts of addresses.
    """

    __slots__ = ("action", "client", "log", "login", "number", "server", "starttls", "upstream")

    def __init__(self, log: Log, number: int, client: str, server: str) -> None:
        self.log = log
        self.number = number
        self.client = client
        self.server = server
        self.action = ""
        self.starttls = False
        self.login = b""
        self.upstream = ""

    def write(self, level: Level, message: str) -> None:
        """Write ``message``, already escaped, with the suffix nginx's operators know."""
        if level > self.log.threshold:
            return
        parts = [message]
        if self.action:
            parts.append(f" while {self.action}")
        parts.append(f", client: {self.client}")
        if self.starttls:
            parts.append(" using starttls")
        parts.append(f", server: {self.server}")
        if self.login:
            parts.append(f', login: "{quoted(self.login)}"')
        if self.upstream:
            parts.append(f", upstream: {self.upstream}")
        self.log.write(level, "".join(parts), self.number)
