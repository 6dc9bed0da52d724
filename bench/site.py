"""The place where one server is started: its directory, its ports, what lies behind it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.functional.certificates import Certificates
from tests.functional.ports import claim_port

PROTOCOLS = ("imap", "pop3", "smtp")
DOORS = tuple(f"{protocol}-{kind}" for protocol in PROTOCOLS for kind in ("ecdsa", "rsa", "clear"))


@dataclass(frozen=True, slots=True)
class Site:
    """``ports`` is by door: ``imap-ecdsa``; ``behind`` by protocol, and ``auth`` for the authentication service.

    ``connections`` is how many descriptors a worker may need.
    """

    directory: Path
    certificates: Certificates
    behind: Mapping[str, int]
    workers: int
    connections: int
    ports: Mapping[str, int]

    @property
    def is_root(self) -> bool:
        return os.geteuid() == 0


def make_site(
    directory: Path, certificates: Certificates, behind: Mapping[str, int], workers: int, connections: int
) -> Site:
    """Make the directory and claim the ports."""
    directory.mkdir()
    directory.chmod(0o755)  # workers are somebody else
    ports = {door: claim_port() for door in (*DOORS, "later")}
    return Site(directory, certificates, behind, workers, connections, ports)
