"""sslyze: Mozilla's *intermediate* profile, and the known weaknesses of servers."""

import re
import sys
from pathlib import Path

from .edge import HOST, Door
from .verdict import Verdict, run

_LIMIT_SECONDS = 120.0  # it takes four on a quiet machine


def judge(door: Door, authority: Path) -> Verdict:
    where = f"{HOST}:{door.port}"
    command = [sys.executable, "-m", "sslyze", "--mozilla_config", "intermediate"]
    command += ["--certinfo_ca_file", str(authority)]
    if door.starttls:
        command += ["--starttls", door.starttls]
    status, report = run([*command, where], _LIMIT_SECONDS)
    # It also ends with 0 where it could not connect; so its good word has to be there.
    objections = re.findall(r"^ +\* (\w+: .+)$", report.partition("COMPLIANCE AGAINST")[2], re.MULTILINE)
    objections += re.findall(r"^ +(.*\bVULNERABLE -.*)$", report, re.MULTILINE)
    if not objections and (status != 0 or f"{where}: OK - Compliant." not in report):
        objections = [f"no verdict (exit status {status})"]
    return Verdict("sslyze", door.name, tuple(objections), (), report)
