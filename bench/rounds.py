"""Interleaved rounds within a limit of time: every server takes its turn, row by row, and the order turns."""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .measurements import Measurement, Scene
from .peers import Peer
from .results import Results
from .rows import ROWS

DOORS = {row.key: row.door for row in ROWS}
_RESERVE = 1.1  # a round may take so much longer than the figures of earlier ones let expect


@dataclass(slots=True)
class Rounds:
    """``taken`` is how many seconds each measurement of each server took last; its start is named ``""``."""

    scene: Scene
    results: Results
    chosen: Sequence[Measurement]
    taken: dict[tuple[str, str], float] = field(default_factory=dict)

    def run(self, rounds: int, limit_seconds: float) -> None:
        """At least one round, and no further one that would probably end after the limit."""
        began = time.monotonic()
        while self.results.rounds < rounds and time.monotonic() - began + self._expected() <= limit_seconds:
            start = time.monotonic()
            self._round()
            self.results.rounds += 1
            print(f"round {self.results.rounds} took {time.monotonic() - start:.0f} s", file=sys.stderr)

    def _expected(self) -> float:
        known = [self.taken.get((peer.name, "")) for peer in self._peers()]
        known += [
            self.taken.get((peer.name, each.keys[0]))
            for each in self._measurements()
            for peer in self._who_has(each)
        ]
        return sum(seconds for seconds in known if seconds is not None) * _RESERVE

    def _peers(self) -> list[Peer]:
        return [peer for peer in self.results.peers if self.results.rounds < peer.rounds]

    def _measurements(self) -> list[Measurement]:
        return [each for each in self.chosen if self.results.rounds < each.rounds]

    def _who_has(self, measurement: Measurement) -> list[Peer]:
        door = DOORS[measurement.keys[0]]
        return [peer for peer in self._peers() if door is None or door in peer.doors]

    def _round(self) -> None:
        """Starts every server anew."""
        number = self.results.rounds
        with contextlib.ExitStack() as stack:
            running = {}
            for peer in self._peers():
                start = time.monotonic()
                running[peer.name] = stack.enter_context(self.scene.fresh(peer))
                self.taken[peer.name, ""] = time.monotonic() - start
            for turn, measurement in enumerate(self._measurements()):
                # One row for all servers before the next row: whatever the machine does, it does to all.
                peers = self._who_has(measurement)
                first = (number + turn) % len(peers) if peers else 0
                for peer in (*peers[first:], *peers[:first]):
                    start = time.monotonic()
                    self.results.add(peer, number, measurement.take(self.scene, running[peer.name]))
                    self.taken[peer.name, measurement.keys[0]] = time.monotonic() - start
