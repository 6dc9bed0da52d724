"""The servers that are compared: how each is started, and what it costs."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.functional.certificates import Certificates
from tests.functional.ports import claim_port
from tests.functional.process import Process, alive, children, program
from tests.functional.waiting import wait_until

NGINX_MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"
LISTENERS = ("ecdsa", "rsa", "clear")

# The same text for all: gatepost is a drop-in. Only the default log level, so that no server writes per session.
_CONFIGURATION = """
{load}
{user}
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log error;
events {{
    worker_connections 8192;
}}
mail {{
    auth_http 127.0.0.1:{auth_port}/auth;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{ecdsa} ssl;
        protocol imap;
        {ecdsa_certificate}
    }}
    server {{
        listen 127.0.0.1:{rsa} ssl;
        protocol imap;
        {rsa_certificate}
    }}
    server {{
        listen 127.0.0.1:{clear};
        protocol imap;
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that can be measured. ``version`` is what it says of itself."""

    name: str
    command: tuple[str, ...]
    load: str
    version: str


def find_peers() -> list[Peer]:
    """gatepost from this checkout, and nginx with its mail module where it is installed."""
    gatepost = (sys.executable, "-m", "gatepost")
    peers = [Peer("gatepost", gatepost, "", _version(gatepost))]
    if os.path.exists(NGINX_MODULE) and shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        nginx = (program("nginx"),)
        peers.append(Peer("nginx", nginx, f"load_module {NGINX_MODULE};", _version(nginx)))
    return peers


def _version(command: tuple[str, ...]) -> str:
    done = subprocess.run([*command, "-v"], capture_output=True, check=True, timeout=30, text=True)
    return (done.stdout + done.stderr).strip().rpartition("/")[2]


class Running:
    """One started peer. ``ports`` is by listener: ``ecdsa``, ``rsa`` and ``clear``."""

    def __init__(self, peer: Peer, directory: Path, certificates: Certificates, auth_port: int) -> None:
        self.peer = peer
        self.ports = {name: claim_port() for name in LISTENERS}
        directory.mkdir()
        configuration = directory / "bench.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                load=peer.load,
                user="user nobody nogroup;" if os.geteuid() == 0 else "",
                directory=directory,
                auth_port=auth_port,
                ecdsa_certificate=certificates.directives("ecdsa"),
                rsa_certificate=certificates.directives("rsa"),
                **self.ports,
            )
        )
        command = (
            *peer.command,
            "-c",
            str(configuration),
            "-p",
            str(directory),
            "-e",
            str(directory / "error.log"),
        )
        self._directory = directory
        self._process = Process(command, directory / "output")
        wait_until(self._ready, f"{peer.name} to start")

    def _ready(self) -> bool:
        if self._process.status is not None:
            raise RuntimeError(f"{self.peer.name} ended: {self._process.text()}")
        return (self._directory / "pid").exists() and bool(children(self._process.pid))

    @property
    def pids(self) -> tuple[int, ...]:
        """The master and everything below it."""
        found = [self._process.pid]
        for pid in found:
            found += children(pid)
        return tuple(found)

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system, of all threads of all processes; to the nanosecond, not to the tick."""
        total = 0
        for pid in self.pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
        return total / 1e9

    def pss_bytes(self) -> int:
        """Memory of all processes, shared pages counted in proportion."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                (line,) = (line for line in file if line.startswith("Pss:"))
            total += int(line.split()[1]) * 1024
        return total

    def settle(self) -> None:
        """Return when the server has nothing left to do."""
        last = [-1.0]

        def quiet() -> bool:
            now = self.cpu_seconds()
            same, last[0] = now - last[0] < 0.0001, now
            return same

        wait_until(quiet, f"{self.peer.name} to become idle", step_seconds=0.1)

    def stop(self) -> None:
        pids = self.pids
        self._process.stop()
        wait_until(lambda: not any(map(alive, pids)), f"{self.peer.name} to end")
        complaints = (self._directory / "error.log").read_text() if (self._directory / "error.log").exists() else ""
        if complaints.strip():
            print(f"{self.peer.name} wrote to its log:\n{complaints[:2000]}", file=sys.stderr)
