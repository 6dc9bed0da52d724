"""What a target is, and how its bytes are laid out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

# Cuts an input into scenes; between two of them something happens other than the arrival of bytes, such as the end
# of a handshake. Printable, so that a fuzzer finds it in the dictionary and a reader in a corpus.
CURTAIN = b"~~"

# Stands for many bytes, so that a small input can reach a limit of some thousands.
PADDING = b"~x~"


@dataclass(frozen=True)
class Target:
    """``run`` takes any bytes and raises only when something is broken.

    ``words`` are pieces that inputs are made of: the fuzzer's dictionary, and what Hypothesis joins. ``seeds``
    makes the inputs that the corpus begins with. ``max_bytes`` is as large as inputs need to be. ``native``: the
    parsing is done by a library in C, where nobody sees which input reaches what.
    """

    name: str
    run: Callable[[bytes], None]
    words: tuple[bytes, ...]
    seeds: Callable[[], Iterator[bytes]]
    max_bytes: int = 2048
    native: bool = False

    def corpus(self) -> list[Path]:
        return sorted((CORPUS / self.name).iterdir())


class Choices:
    """The first bytes of an input choose among settings, one byte for each choice; the rest is what arrives."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, below: int) -> int:
        """0 where the input has ended."""
        first, self._data = self._data[:1], self._data[1:]
        return first[0] % below if first else 0

    def flag(self) -> bool:
        return bool(self.number(2))

    def rest(self) -> bytes:
        return self._data


def padded(data: bytes, size: int) -> bytes:
    return data.replace(PADDING, b"x" * size)


def cuttings(stream: bytes, seed: int) -> Iterator[list[bytes]]:
    """The stream in one piece, byte by byte, and in pieces whose sizes follow from ``seed``."""
    yield [stream] if stream else []
    yield [stream[at : at + 1] for at in range(len(stream))]
    places = [0]
    while places[-1] < len(stream):
        seed = (seed * 1103515245 + 12345) % 2**31  # a generator of our own: the same cuts in every run
        places.append(min(len(stream), places[-1] + 1 + (seed >> 16) % 7))
    yield [stream[a:b] for a, b in pairwise(places)]


def is_one_line(text: str) -> bool:
    """Whether the log may have it: printable ASCII, nothing that could begin another line."""
    return all(" " <= character <= "~" for character in text)
