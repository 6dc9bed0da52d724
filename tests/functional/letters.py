"""Letters: made, sent by real clients, and what became of them at the backend."""

import smtplib
import subprocess
import typing
from dataclasses import dataclass
from pathlib import Path

from .certificates import Certificates
from .dovecot import PASSWORD
from .process import program
from .waiting import LIMIT_SECONDS

SENDER = "sender@client.test"
RECIPIENT = "in@example.test"
MAILBOXES = "mailbox.test"  # whoever has a mailbox at Dovecot has an address there
BIG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a backend has taken in. ``login`` and ``method`` are empty where there was no login.

    ``method`` is ``XCLIENT`` for a login that it was told of, else the mechanism of one of its own.
    """

    client: str  # address
    method: str
    login: str
    content: bytes  # line ends are LF


class Backend(typing.Protocol):
    """An SMTP server for ``RECIPIENT`` and ``MAILBOXES``. Believes XCLIENT; knows Dovecot's users."""

    port: int

    def delivery(self, subject: str) -> Delivery:
        """The letter with that subject, as soon as it is there. Its ``content`` is what arrived of it."""

    def stop(self) -> None: ...


def letter(subject: str, size: int = 0) -> bytes:
    """A whole letter of at least ``size`` bytes, no two lines alike. Line ends are LF."""
    head = (
        f"Date: Thu, 01 Jan 2026 00:00:00 +0000\nFrom: {SENDER}\nTo: {RECIPIENT}\n"
        f"Message-ID: <{subject}@client.test>\nSubject: {subject}\n\n"
    )
    # A dot at the start of a line has to be doubled on the way, and undone.
    line = ".%09d The quick brown fox jumps over the lazy dog.\n"
    body = "".join(line % number for number in range(max(1, size // 56)))
    return (head + body).encode()


def by_smtplib(client: smtplib.SMTP, text: bytes, recipient: str = RECIPIENT) -> None:
    """Send over a connection that is logged in, or needs not be."""
    assert client.sendmail(SENDER, [recipient], text.replace(b"\n", b"\r\n")) == {}


def by_swaks(
    port: int, certificates: Certificates, text: bytes, directory: Path, *arguments: str, recipient: str = RECIPIENT
) -> "subprocess.CompletedProcess[str]":
    """swaks as the tests' client; ``arguments`` say how to log in."""
    file = directory / "letter"
    file.write_bytes(text)
    command = [program("swaks"), "--server", "127.0.0.1", "--port", str(port), "--helo", "swaks.client.test"]
    command += ["--from", SENDER, "--to", recipient, "--data", f"@{file}", "--timeout", f"{LIMIT_SECONDS:g}"]
    command += ["--tls-verify", "--tls-ca-path", str(certificates.ca), "--suppress-data", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * LIMIT_SECONDS)


def by_curl(
    url: str, user: str, certificates: Certificates, text: bytes, directory: Path, *arguments: str
) -> "subprocess.CompletedProcess[bytes]":
    """curl as ``user`` with the right password."""
    file = directory / "letter"
    file.write_bytes(text.replace(b"\n", b"\r\n"))
    command = [program("curl"), "--silent", "--show-error", "--max-time", f"{LIMIT_SECONDS:g}"]
    command += ["--cacert", str(certificates.ca), "--user", f"{user}:{PASSWORD}", "--upload-file", str(file)]
    command += ["--mail-from", SENDER, "--mail-rcpt", RECIPIENT, *arguments, url]
    return subprocess.run(command, capture_output=True, check=False, timeout=2 * LIMIT_SECONDS)
