"""What is judged: a daemon with the recommended configuration of docs/tls.md, on loopback ports."""

from dataclasses import dataclass
from pathlib import Path

from tests.functional.guide import Edge, chapter

HOST = "localhost"
RECOMMENDED = "Recommended configuration"


@dataclass(frozen=True, slots=True)
class Door:
    """One port. ``starttls`` is the protocol in which TLS is begun, None where TLS comes first."""

    name: str
    port: int
    starttls: str | None


def start(directory: Path) -> Edge:
    """The daemon, running; its certificates lie in ``directory`` already. Whoever called ends it."""
    return Edge(directory, chapter(RECOMMENDED).configuration)


def doors(edge: Edge) -> tuple[Door, ...]:
    return (
        Door("IMAPS", edge.at[993], None),
        Door("IMAP with STARTTLS", edge.at[143], "imap"),
        Door("POP3 with STLS", edge.at[110], "pop3"),
        Door("SMTP with STARTTLS", edge.at[587], "smtp"),
    )
