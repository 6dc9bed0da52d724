"""Let all judges look at all doors, print what they say, fail when one objects: ``make conformance``."""

import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from . import injection, sslyze, testssl
from .certificates import make_certificates
from .edge import HOST, doors, start
from .verdict import Verdict

_AT_ONCE = 4  # judges mostly wait; more would make them too slow for the limits of their own


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="gatepost-"))
    directory.chmod(0o755)  # the daemon's workers are somebody else
    try:
        authority = make_certificates(directory, HOST)
        with start(directory) as edge:
            every = doors(edge)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                # Those that mind slow answers come first, while the machine is quiet.
                waiting = [pool.submit(injection.judge, door, directory) for door in every if door.starttls]
                waiting += [pool.submit(partial(testssl.judge, door, authority, directory)) for door in every]
                waiting += [pool.submit(sslyze.judge, door, authority) for door in every]
                return report(future.result() for future in waiting)
    finally:
        shutil.rmtree(directory)


def report(verdicts: Iterable[Verdict]) -> int:
    """Print each verdict as soon as it is there; the exit status."""
    refused = 0
    for verdict in verdicts:
        refused += bool(verdict.objections)
        word = "OBJECTS" if verdict.objections else "ok"
        print(f"{verdict.judge} on {verdict.door}: {word}", flush=True)
        for text in verdict.objections:
            print(f"  ! {text}")
        for text in verdict.remarks:
            print(f"  - {text}")
        if verdict.objections:
            print("".join(f"  | {line}\n" for line in verdict.report.splitlines()))
    print(f"{refused} objections" if refused else "nobody objects")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
