"""What every way into a mailbox must allow, once logged in: imaplib and curl against a real Dovecot."""

import hashlib
import imaplib
import subprocess
from pathlib import Path

from .certificates import Certificates
from .dovecot import PASSWORD
from .line_client import LineClient
from .process import program
from .waiting import LIMIT_SECONDS

BIG_BYTES = 20 * 1024 * 1024


def big_message(least_bytes: int = BIG_BYTES) -> bytes:
    """Mail that no layer can compress, reorder or repeat without being noticed. Made of lines, as mail is."""
    lines = [b"Subject: big", b""]
    size = 0
    state = b"gatepost"
    while size < least_bytes:
        block = b""
        for _ in range(512):
            state = hashlib.sha256(state).digest()
            block += state.hex().encode()
        lines += [block[start : start + 76] for start in range(0, len(block), 76)]
        size += len(block) + 2 * len(block) // 76
    return b"\r\n".join(lines) + b"\r\n"


def append_and_fetch(client: imaplib.IMAP4) -> None:
    """Store 20 MB, read them back, compare every byte."""
    message = big_message()
    stored, said = client.append("INBOX", "", "", message)
    assert stored == "OK", said
    selected, messages = client.select("INBOX")
    assert selected == "OK"
    assert messages == [b"1"]
    status, parts = client.fetch("1", "(BODY.PEEK[])")
    assert status == "OK"
    part = parts[0]
    assert isinstance(part, tuple)
    assert len(part[1]) == len(message)
    assert part[1] == message


def idle_gets_a_push(waiting: LineClient, storing: imaplib.IMAP4) -> None:
    """``waiting`` is logged in and idles on INBOX; ``storing``, logged in as the same user, adds a message."""
    waiting.send(b"i1 SELECT INBOX\r\n")
    assert waiting.upto(b"i1 ")[-1].startswith(b"i1 OK")
    assert waiting.command(b"i2 IDLE").startswith(b"+ ")
    status, said = storing.append("INBOX", "", "", b"Subject: knock\r\n\r\nhello\r\n")
    assert status == "OK", said
    assert b"* 1 EXISTS" in waiting.upto(b"* 1 EXISTS")
    waiting.send(b"DONE\r\n")
    assert waiting.upto(b"i2 ")[-1].startswith(b"i2 OK")


def login(client: LineClient, user: str) -> None:
    """LOGIN with the right password; returns when the backend has agreed."""
    client.send(f'l1 LOGIN {user} "{PASSWORD}"\r\n'.encode())
    answer = client.upto(b"l1 ")[-1]
    assert answer.startswith(b"l1 OK"), answer


def curl(url: str, user: str, certificates: Certificates, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """curl as ``user`` with the right password, trusting the tests' CA only."""
    command = [program("curl"), "--silent", "--show-error", "--max-time", f"{LIMIT_SECONDS:g}"]
    command += ["--cacert", str(certificates.ca), "--user", f"{user}:{PASSWORD}", *arguments, url]
    return subprocess.run(command, capture_output=True, check=False, timeout=2 * LIMIT_SECONDS)


def curl_reads_mail(url: str, user: str, certificates: Certificates, directory: Path, *arguments: str) -> None:
    """curl stores one message and fetches it again. ``url`` ends without a slash."""
    letter = directory / "letter"
    letter.write_bytes(b"Subject: by curl\r\n\r\nbody\r\n")
    stored = curl(f"{url}/INBOX", user, certificates, "--upload-file", str(letter), *arguments)
    assert stored.returncode == 0, stored.stderr
    fetched = curl(f"{url}/INBOX;MAILINDEX=1", user, certificates, *arguments)
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout == letter.read_bytes()
