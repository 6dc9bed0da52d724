"""What happens to gatepost meanwhile: reloads, killed workers, an authentication service that flaps.

A worker is stopped before it is killed, so that it is known which sessions die with it: a session that ends early
and was not one of those is a failure.
"""

import asyncio
import contextlib
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.functional.gateway import Gateway

from .ledger import Ledger, Record
from .servers import Mood, Service

OUTAGE_SECONDS = 1.0


@dataclass(slots=True)
class Troubles:
    """``counts`` is by what has happened."""

    gateway: Gateway
    service: Service
    ledger: Ledger
    by_port: Mapping[tuple[int, int], Record]
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, seconds: float, pause_seconds: float) -> None:
        """For so long, with about so much time between two of a kind. In the last third workers are left alone:
        the memory of those that have just begun would say nothing.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._harass(seconds * 2 / 3, pause_seconds))
            group.create_task(self._flap(seconds, pause_seconds))

    async def _harass(self, seconds: float, pause_seconds: float) -> None:
        """Reloads and killed workers, as often the one as the other."""
        chance = random.Random(f"{self.seed}/workers")
        end = time.monotonic() + seconds
        kinds: list[str] = []
        while (pause := chance.uniform(0.5, 1.5) * pause_seconds) + time.monotonic() < end:
            await asyncio.sleep(pause)
            if not kinds:
                kinds = ["reload", "kill"]
                chance.shuffle(kinds)
            if kinds.pop() == "reload":
                self.gateway.process.signal(signal.SIGHUP)
                self.counts["reloads"] += 1
            else:
                await self._kill(chance)

    async def _flap(self, seconds: float, pause_seconds: float) -> None:
        """Outages of each kind, in a random order, before one comes again."""
        chance = random.Random(f"{self.seed}/service")
        end = time.monotonic() + seconds
        moods: list[Mood] = []
        while (pause := chance.uniform(0.5, 1.5) * pause_seconds) + OUTAGE_SECONDS + time.monotonic() < end:
            await asyncio.sleep(pause)
            if not moods:
                moods = [mood for mood in Mood if mood is not Mood.ANSWERS]
                chance.shuffle(moods)
            await self._outage(moods.pop())

    async def _outage(self, mood: Mood) -> None:
        self.counts[f"outages in which the authentication service {mood.value}"] += 1
        self.ledger.away_until = math.inf
        await self.service.change(mood)
        try:
            await asyncio.sleep(OUTAGE_SECONDS)
        finally:
            await self.service.change(Mood.ANSWERS)
            self.ledger.away_until = time.monotonic()

    async def _kill(self, chance: random.Random) -> None:
        """Kill a worker, old or new. It may have ended by itself meanwhile, if a reload has told it to."""
        workers = self.gateway.workers
        if not workers:
            return  # all have just died
        pid = chance.choice(workers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await _until_stopped(pid)
            for key in clients_of(pid):
                if (record := self.by_port.get(key)) is not None:
                    record.worker_died = True
            os.kill(pid, signal.SIGKILL)
            self.counts["killed workers"] += 1


async def _until_stopped(pid: int) -> None:
    """Raises ProcessLookupError when it is gone, TimeoutError when it does not stop."""
    async with asyncio.timeout(10):
        while True:
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    state = file.read().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                raise ProcessLookupError(pid) from None
            if state == "T":
                return
            if state in "ZX":
                raise ProcessLookupError(pid)
            await asyncio.sleep(0.001)


def clients_of(pid: int) -> set[tuple[int, int]]:
    """The connections that a process has: the other end's port, and its own."""
    inodes: set[str] = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, if it runs
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found: set[tuple[int, int]] = set()
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            fields = line.split()
            if fields[9] in inodes:
                found.add((int(fields[2].partition(":")[2], 16), int(fields[1].partition(":")[2], 16)))
    return found
