"""testssl.sh: what it rates MEDIUM or worse is an objection."""

import json
from collections.abc import Sequence
from pathlib import Path

from .edge import HOST, Door
from .verdict import Verdict, run

_LIMIT_SECONDS = 300.0  # it takes one minute alone, less than two among its like on two cores
_OBJECTIONABLE = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
_REMARKABLE = ("LOW", "WARN")  # WARN rates nothing: it tells what it could not try
# Protocols, cipher categories, forward secrecy, preferences, certificates and sessions, weaknesses. Left out are
# what only concerns web servers, and the simulation of browsers.
_CHECKS = ("-p", "-s", "-f", "-P", "-S", "-U")
CIPHER_CHECKS = ("-s",)  # enough to find weak ciphers
_LAST = "LUCKY13"  # among the last checks: whoever comes so far has seen everything


def judge(door: Door, authority: Path, directory: Path, checks: Sequence[str] = _CHECKS) -> Verdict:
    findings = directory / f"testssl-{door.port}.json"
    # "testssl" is Debian's name for it.
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]
    command += ["--add-ca", str(authority), "--ip", "127.0.0.1", "--jsonfile", str(findings), *checks]
    if door.starttls:
        command += ["--starttls", door.starttls]
    status, report = run([*command, f"{HOST}:{door.port}"], _LIMIT_SECONDS)
    try:
        found = json.loads(findings.read_text())
    except (OSError, ValueError):
        return Verdict("testssl.sh", door.name, (f"no verdict (exit status {status})",), (), report)
    texts = {
        severities: tuple(f"{one['id']}: {one['finding']}" for one in found if one["severity"] in severities)
        for severities in (_OBJECTIONABLE, _REMARKABLE)
    }
    objections = texts[_OBJECTIONABLE]
    identities = {one["id"] for one in found}
    if not {"TLS1_2", "TLS1_3", _LAST} <= identities:
        objections += (f"no verdict: not all checks were made (exit status {status})",)
    return Verdict("testssl.sh", door.name, objections, texts[_REMARKABLE], report)
