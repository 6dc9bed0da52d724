"""Runs the soak: a warm-up that shows what gatepost holds, the long night, and what it holds then.

Ends with status 0 when all is back and every byte is accounted for, else 1 with what differs.
"""

import argparse
import asyncio
import contextlib
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench.__main__ import allow_descriptors
from tests.functional.certificates import Certificates, make_certificates
from tests.functional.gateway import Gateway

from . import state
from .clients import Crowd, Door
from .ledger import End, Ledger
from .servers import LOGINS, Backends, Service
from .state import ROWS, State, differences, entries
from .troubles import Troubles

WORKERS = 2
SECONDS = 20 * 60
CONNECTIONS = 2000
MOST_SECONDS, MOST_CONNECTIONS = 24 * 3600, 4000
DESCRIPTORS = 16_384  # two for each client in this process, and a few; as many again where one worker has them all
SETTLE_SECONDS = 90.0  # a session whose client is gone may have a minute, and memory is given back half as often
# A warm-up so long brings every kind of session, and as many at a time as there will be. It is so much shorter than
# the last third of the night that a worker which keeps something of each session has become larger by then.
WARM_UP, LEAST_WARM_UP_SECONDS, MOST_WARM_UP_SECONDS = 0.1, 2.0, 60.0
AUTH_TIMEOUT_SECONDS = 10  # for one question: what a busy machine needs never looks like an outage
SESSION_SECONDS = 2  # how long a TLS session can be resumed: at the end all entries have expired
HOLD, MOST_HOLD_SECONDS = 0.1, 20.0  # of the time: how long a client may be silent
LOOKS = 40  # at what it holds, in the whole time
PAUSE, MOST_PAUSE_SECONDS = 0.06, 10.0  # of the time, between two troubles of a kind

_MAIL = """
    error_log {directory}/mail.log warn;
    auth_http 127.0.0.1:{auth};
    auth_http_timeout {auth_timeout}s;
    timeout 10m;
    proxy_smtp_auth on;
    xclient off;
    ssl_session_cache shared:soak:1m;
    ssl_session_timeout {session}s;
"""
_SERVER = """
    server {{
        listen 127.0.0.1:{port}{ssl};
        protocol {protocol};
        ssl_session_tickets {tickets};
        {certificate}
    }}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    connections: int
    seed: int


def configuration(directory: Path, certificates: Certificates, auth: int) -> str:
    text = _MAIL.format(directory=directory, auth=auth, auth_timeout=AUTH_TIMEOUT_SECONDS, session=SESSION_SECONDS)
    for number, (protocol, tls) in enumerate(doors()):
        text += _SERVER.format(
            port=f"PORT{number}",
            protocol=protocol,
            ssl=" ssl" if tls else "",
            # TLS sessions of those without tickets go into the zone.
            tickets="on" if protocol == "imap" else "off",
            certificate=certificates.directives("ecdsa") if tls else "",
        )
    # The ports are chosen, and put in, by whoever starts it.
    return re.sub(r"PORT(\d)", r"{\1}", text.replace("{", "{{").replace("}", "}}"))


def doors() -> list[tuple[str, bool]]:
    return [(protocol, tls) for protocol in LOGINS for tls in (True, False)]


class Soak:
    """One run."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = plan
        self._directory = directory
        self._ledger = Ledger()
        self._seen: list[State] = []  # during the night

    async def run(self) -> bool:
        ledger = self._ledger
        asyncio.get_running_loop().set_exception_handler(self._unheard)
        backends = Backends(ledger)
        await backends.start()
        service = Service(backends.ports)
        await service.start()
        certificates = make_certificates(self._directory)
        gateway = Gateway(
            self._directory / "gateway",
            configuration(self._directory / "gateway", certificates, service.port),
            ports=len(doors()),
            workers=WORKERS,
            connections=DESCRIPTORS,
        )
        try:
            context = certificates.client_context()
            ways = [
                Door(protocol, port, context if tls else None)
                for port, (protocol, tls) in zip(gateway.ports, doors(), strict=True)
            ]
            good = await self._night(gateway, service, backends, ways)
        finally:
            status = gateway.stop()
            service.close()
            backends.close()
        if status:
            print(f"gatepost ended with {status}")
        return good and not status

    async def _night(self, gateway: Gateway, service: Service, backends: Backends, ways: list[Door]) -> bool:
        plan, ledger = self._plan, self._ledger
        master = gateway.process.pid
        warm_up = min(max(plan.seconds * WARM_UP, LEAST_WARM_UP_SECONDS), MOST_WARM_UP_SECONDS)
        crowd = Crowd(ledger, ways, min(plan.seconds * HOLD, MOST_HOLD_SECONDS), plan.seed)
        troubles = Troubles(gateway, service, ledger, crowd.by_port, plan.seed)
        empty = await self._begun(master)

        say(f"warm-up: {plan.connections} connections for {warm_up:.0f} s")
        await crowd.run(plan.connections, warm_up)
        start = await settle(master, service, backends, lambda now: not now.connections)

        rest = plan.seconds - warm_up
        say(f"the night: {plan.connections} connections for {rest:.0f} s")
        pause = min(plan.seconds * PAUSE, MOST_PAUSE_SECONDS)
        async with asyncio.TaskGroup() as group:
            group.create_task(troubles.run(rest, pause))
            watching = group.create_task(self._watch(master))
            await crowd.run(plan.connections, rest)
            watching.cancel()

        say("all have left")
        end = await settle(master, service, backends, lambda now: not differences(start, now))
        await until(lambda: not ledger.live, SETTLE_SECONDS)
        left = [await expired(gateway)]
        different = differences(start, end) + [f"{count} entries never expire" for count in left if count]
        if ledger.live:
            different.append(f"{len(ledger.live)} sessions are not over")
        if backends.count:
            different.append(f"{backends.count} connections to backends are open")
        different += complaints(self._directory / "gateway")
        self._print(crowd, troubles, (empty, start, end), left[0])
        for text in (*ledger.failures, *different):
            print(f"WRONG: {text}")
        return not ledger.failed and not different

    def _unheard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that nobody catches is a failure."""
        error, message = context.get("exception"), str(context.get("message"))
        # Two of our own clients, as uvloop's TLS tells of them: one has left in the middle of something; one before
        # it waited for the handshake, whose end then is in a future that nobody holds.
        if isinstance(error, RuntimeError) and "the handler is closed" in str(error):
            return
        if isinstance(error, ConnectionError) and message == "Future exception was never retrieved":
            return
        self._ledger.fail(f"{message}: {error!r}")

    async def _watch(self, master: int) -> None:
        """Look every now and then, until told to stop."""
        while True:
            await asyncio.sleep(self._plan.seconds / LOOKS)
            with contextlib.suppress(OSError):  # a process has just ended
                self._seen.append(state.look(master))

    async def _begun(self, master: int) -> State:
        """What it holds when all is started and nobody has come: as soon as that no longer changes."""
        seen = [state.look(master)]

        def same() -> bool:
            seen.append(state.look(master))
            return seen[-1] == seen[-2]

        await until(same, SETTLE_SECONDS)
        return seen[-1]

    def _print(self, crowd: Crowd, troubles: Troubles, states: tuple[State, ...], left: int) -> None:
        ledger, plan = self._ledger, self._plan
        empty, start, end = states
        print(f"\nSeed {plan.seed}, {plan.seconds:.0f} s, {WORKERS} workers.\n")
        print("| what gatepost holds | before the first client | after the warm-up | all gone | |")
        print("|---|--:|--:|--:|---|")
        for row in ROWS:
            verdict = "back" if row.is_back(start, end) else "**not back**"
            print(f"| {row.title} | {row.show(empty)} | {row.show(start)} | {row.show(end)} | {verdict} |")
        print(f"| entries that outlive their time | 0 | 0 | {left} | {'**not back**' if left else 'back'} |")
        print("\n| what happened | |\n|---|--:|")
        rows: list[tuple[str, object]] = [
            ("connections at a time, at most", crowd.peak),
            (
                "own memory of all processes, at most, MB",
                f"{max(each.own_bytes for each in (*self._seen, end)) / 1e6:.1f}",
            ),
            ("processes, at most", max(each.processes for each in (*self._seen, end))),
            ("logins", ledger.logins),
            *((f"sessions that {how.value}", ledger.ends[how]) for how in End),
            ("bytes from clients that arrived", ledger.up_bytes),
            ("bytes to clients that arrived", ledger.down_bytes),
            ("bytes under way in sessions that were cut or left", ledger.lost_bytes),
            *sorted(troubles.counts.items()),
            ("**failures**" if ledger.failed else "failures", ledger.failed),
        ]
        for title, value in rows:
            print(f"| {title} | {value} |")
        print(flush=True)


async def settle(master: int, service: Service, backends: Backends, true: Callable[[State], bool]) -> State:
    """What it holds as soon as that is so, or when there was time enough."""
    found: list[State] = []

    def settled() -> bool:
        service.hang_up()  # connections that are kept for the next question are no leak
        try:
            found.append(state.look(master))
        except OSError:  # a process has just ended
            return False
        now = found[-1]
        return now.processes == WORKERS + 1 and not backends.count and true(now)

    await until(settled, SETTLE_SECONDS)
    if not found:
        raise TimeoutError("the processes of gatepost come and go")
    return found[-1]


async def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for ``true``; what it said last."""
    end = time.monotonic() + seconds
    while not (good := true()) and time.monotonic() < end:
        await asyncio.sleep(0.2)
    return good


async def expired(gateway: Gateway) -> int:
    """Entries that are left when the time of all is over."""
    await asyncio.sleep(SESSION_SECONDS + 1)  # their time counts in whole seconds
    return entries(gateway.workers[0])


def complaints(directory: Path) -> list[str]:
    """Lines of the logs that are nobody's fault but ours."""
    found: list[str] = []
    bad = re.compile(r"Traceback|\[(emerg|crit|alert)\]")
    # Of a killed worker the master says so.
    expected = re.compile(r"exited on signal 9")
    for name in ("error.log", "mail.log", "output"):
        path = directory / name
        if path.exists():
            with open(path, errors="replace") as file:
                found += [
                    f"{name}: {line.strip()}" for line in file if bad.search(line) and not expected.search(line)
                ]
    return found[:20]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def parse() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m soak", description="A long night for gatepost.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="with the warm-up, without the settling")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="clients at a time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of all chance")
    chosen = parser.parse_args()
    if not 5 <= chosen.seconds <= MOST_SECONDS or not 8 <= chosen.connections <= MOST_CONNECTIONS:
        parser.error(f"5 to {MOST_SECONDS} seconds, 8 to {MOST_CONNECTIONS} connections")
    return Plan(chosen.seconds, chosen.connections, chosen.seed)


def main() -> int:
    plan = parse()
    random.seed(plan.seed)
    allowed = allow_descriptors(DESCRIPTORS)
    if allowed < 2 * plan.connections + 500:
        print(f"{allowed} descriptors are too few for {plan.connections} connections", file=sys.stderr)
        return 2
    directory = Path(tempfile.mkdtemp(prefix="gatepost-soak-"))
    directory.chmod(0o755)  # workers are somebody else
    try:
        good = uvloop.run(Soak(plan, directory).run())
    finally:
        shutil.rmtree(directory)
    print("all is back, and every byte is accounted for" if good else "NOT all is well")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
