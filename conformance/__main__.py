"""Let all judges look at all doors, print what they say, fail when one objects: ``make conformance``.

Each judge is also shown a server with faults, and has to object to that.
"""

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from . import injection, sslyze, testssl
from .certificates import make_certificates
from .control import careless_imap, start_weak
from .edge import HOST, Door, doors, start
from .verdict import Verdict

_AT_ONCE = 5  # judges mostly wait; more of them would be too slow for their own limits

Hearing = Callable[[], Verdict]


def main() -> int:
    base = Path(tempfile.mkdtemp(prefix="gatepost-"))
    try:
        base.chmod(0o755)  # the daemons' workers are somebody else
        good, weak = base / "recommended", base / "weak"
        good.mkdir()
        authority = make_certificates(good, HOST)
        shutil.copytree(good, weak)
        with ExitStack() as running:
            every = doors(running.enter_context(start(good)))
            careless = running.enter_context(careless_imap(good))
            control = Door("a weak configuration", running.enter_context(start_weak(weak)).at[993], None)
            hearings = list_hearings(every, careless, control, authority, base)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                return report(pool.map(lambda hear: hear(), hearings))
    finally:
        shutil.rmtree(base)


def list_hearings(
    every: Iterable[Door], careless: Door, weak: Door, authority: Path, directory: Path
) -> list[Hearing]:
    """Those that mind slow answers first, while the machine is quiet."""
    every = tuple(every)
    return [
        *(lambda door=door: injection.judge(door, directory) for door in every if door.starttls),
        lambda: reversed_verdict(injection.judge(careless, directory)),
        *(lambda door=door: testssl.judge(door, authority, directory) for door in every),
        lambda: reversed_verdict(testssl.judge(weak, authority, directory, testssl.CIPHER_CHECKS)),
        *(lambda door=door: sslyze.judge(door, authority) for door in every),
        lambda: reversed_verdict(sslyze.judge(weak, authority)),
    ]


def reversed_verdict(verdict: Verdict) -> Verdict:
    """For a server with faults: objections are as they should be, and a good word is an objection of ours."""
    found = [text for text in verdict.objections if "no verdict" not in text]
    if found:
        return dataclasses.replace(verdict, objections=(), remarks=(f"objects, as it should: {found[0]}",))
    return dataclasses.replace(verdict, objections=("sees no fault where there is one", *verdict.objections))


def report(verdicts: Iterable[Verdict]) -> int:
    """Print each verdict as soon as it is there; the exit status."""
    refused = 0
    for verdict in verdicts:
        refused += bool(verdict.objections)
        print(f"{verdict.judge} on {verdict.door}: {'OBJECTS' if verdict.objections else 'ok'}", flush=True)
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
