"""The configuration that the README shows is a good one."""

import re
import subprocess
from pathlib import Path

from .certificates import Certificates
from .gateway import command
from .ports import claim_port
from .waiting import LIMIT_SECONDS

README = Path(__file__).parent.parent.parent / "README.md"


def shown_configuration() -> str:
    """The indented block that begins with ``events``."""
    match = re.search(r"\n\n(    events \{\}\n(?:(?:    .*)?\n)+)", README.read_text())
    assert match
    return "".join(line.removeprefix("    ") for line in match[1].splitlines(keepends=True))


def test_the_minimal_configuration(tmp_path: Path, certificates: Certificates) -> None:
    text = shown_configuration()
    for shown, real in (
        ("/etc/ssl/mail.example.com.pem", str(certificates.rsa)),
        ("/etc/ssl/mail.example.com.key", str(certificates.rsa.with_suffix(".key"))),
        ("listen 993 ssl;", f"listen 127.0.0.1:{claim_port()} ssl; protocol imap;"),
        ("listen 0.0.0.0:143;", f"listen 127.0.0.1:{claim_port()}; protocol imap;"),
    ):
        assert text.count(shown) == 1
        text = text.replace(shown, real)
    (tmp_path / "gatepost.conf").write_text(text + f"pid {tmp_path}/gatepost.pid;\n")
    done = subprocess.run(
        command(tmp_path, "-t"), capture_output=True, check=False, timeout=LIMIT_SECONDS, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
