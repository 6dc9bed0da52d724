"""The whole configuration of docs/install.md is a good one, and has what its text says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from .certificates import Certificates
from .gateway import command
from .guide import read_guide
from .ports import claim_port
from .waiting import LIMIT_SECONDS

GUIDE = Path(__file__).parent.parent.parent / "docs" / "install.md"
PROTOCOLS = {"993": "imap", "143": "imap", "995": "pop3", "465": "smtp", "587": "smtp"}
LIVE = "/etc/letsencrypt/live/mail.example.com"


@pytest.fixture
def shown() -> str:
    (chapter,) = read_guide(GUIDE)
    assert chapter.scripts == ()
    return chapter.configuration


def test_it_is_good_and_nothing_is_to_be_warned_of(tmp_path: Path, certificates: Certificates, shown: str) -> None:
    def listen(found: re.Match[str]) -> str:
        # The ports are the machine's; a port of ours does not say the protocol.
        return f"protocol {PROTOCOLS[found[1]]}; listen 127.0.0.1:{claim_port()}"

    text = re.sub(r"\blisten (?:\[::\]:)?(\d+)", listen, shown)
    for name, real in (
        (f"{LIVE}/fullchain.pem", str(certificates.rsa)),
        (f"{LIVE}/privkey.pem", str(certificates.rsa.with_suffix(".key"))),
        ("/var/log/gatepost/", f"{tmp_path}/"),
        ("gatepost;", "nobody nogroup;" if os.geteuid() == 0 else "nobody;"),
    ):
        assert text.count(name) == 1
        text = text.replace(name, real)
    path = tmp_path / "gatepost.conf"
    path.write_text(f"pid {tmp_path}/gatepost.pid;\n{text}")
    done = subprocess.run(
        command(tmp_path, "-t"), capture_output=True, check=False, timeout=LIMIT_SECONDS, text=True
    )
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "[warn]" in line and "super-user" not in line]
    assert warnings == []


def test_every_door_has_tls(shown: str) -> None:
    servers = re.findall(r"server \{ (.*) \}", shown)
    assert len(servers) == len(PROTOCOLS)
    for server in servers:
        assert server.count("listen") == server.count("ssl;") or "starttls only;" in server
