"""What was measured, and what follows from it: medians, ratios to the reference, whether an aim is met."""

import platform
import ssl
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from .measurements import Cpus
from .peers import REFERENCE, Peer
from .rows import ROWS, Row


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and how far they lie apart."""

    median: float
    lowest: float
    highest: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(slots=True)
class Results:
    """``figures`` is by key of the row, name of the server and round."""

    peers: Sequence[Peer]
    figures: dict[str, dict[str, dict[int, float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    rounds: int = 0

    def add(self, peer: Peer, number: int, taken: dict[str, float]) -> None:
        for key, value in taken.items():
            self.figures[key][peer.name][number] = value

    @property
    def rows(self) -> list[Row]:
        """Those of which there is something."""
        return [row for row in ROWS if row.key in self.figures]

    @property
    def others(self) -> list[Peer]:
        """Everybody but the reference; nobody when it is not here."""
        if all(peer.name != REFERENCE for peer in self.peers):
            return []
        return [peer for peer in self.peers if peer.name != REFERENCE]

    def figure(self, row: Row, peer: Peer) -> Spread | None:
        values = self.figures[row.key].get(peer.name)
        return spread(tuple(values.values())) if values else None

    def ratio(self, row: Row, peer: Peer) -> Spread | None:
        """To the reference, of the same round each: whatever the machine did, it did to both."""
        ours = self.figures[row.key].get(peer.name, {})
        theirs = self.figures[row.key].get(REFERENCE, {})
        common = ours.keys() & theirs.keys()
        return spread([ours[number] / theirs[number] for number in common]) if common else None


def machine(cpus: Cpus) -> str:
    """Processor, kernel and libraries of this run."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        model = names[0] if names else model
    except OSError:
        pass  # the name of the architecture will do
    count = len(cpus.server | cpus.load)
    return (
        f"{model}, {count} CPU{'s' * (count > 1)}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
    )
