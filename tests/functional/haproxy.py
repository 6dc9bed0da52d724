"""A real HAProxy in TCP mode: says who its client is, or checks what it is told."""

from pathlib import Path

from .ports import claim_port
from .process import Process, program
from .waiting import wait_until

_CONFIGURATION = """
global
    maxconn 100
    log stdout format raw local0
defaults
    mode tcp
    log global
    timeout connect 10s
    timeout client 60s
    timeout server 60s
{sections}
"""


class Haproxy:
    """One running process. ``ports`` are claimed ports, written ``{0}``, ``{1}``... in ``sections``."""

    def __init__(self, directory: Path, sections: str, *, ports: int = 1) -> None:
        directory.mkdir(exist_ok=True)
        self.ports = [claim_port() for _ in range(ports)]
        path = directory / "haproxy.cfg"
        path.write_text(_CONFIGURATION.format(sections=sections.format(*self.ports)))
        # -db: one process in the foreground, which ends with SIGTERM.
        self.process = Process([program("haproxy"), "-db", "-f", str(path)], directory / "output")
        wait_until(self._listens, f"HAProxy to listen; it says {self.process.text()}")

    def _listens(self) -> bool:
        if self.process.status is not None:
            raise RuntimeError(f"HAProxy ended: {self.process.text()}")
        with open("/proc/net/tcp", encoding="ascii") as table:
            listening = {line.split()[1].rpartition(":")[2] for line in table if " 0A " in line}
        return all(f"{port:04X}" in listening for port in self.ports)

    def stop(self) -> None:
        self.process.stop()
