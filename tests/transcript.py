r"""Plays transcripts against protocol machines.

A transcript is text, one step per line:

    C: text       arrives at the machine, with CR LF behind it
    S: text       is sent by the machine, with CR LF behind it
    >> effect     is asked for: ``>> StartTls()``
    << event      is told: ``<< TlsReady()``
    # text        a remark

For an upstream machine ``B:`` (the backend says) and ``P:`` (the proxy says) stand for ``C:`` and ``S:``. Text
knows ``\r``, ``\n``, ``\t``, ``\\``, ``\xHH``; a backslash at its end leaves the CR LF away; ``{100*x}`` repeats.
Effects and events are Python, with the classes of ``gatepost.protocol.events``, ``Credentials``, ``INFO`` and
``plain(user, password)`` in reach.

Each transcript is played line by line, byte by byte, and pipelined up to the next ``<<``. The effects, adjacent
sends joined, must be those written down: after each run of arriving lines, or when pipelined at the next ``<<``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Protocol

import pytest
from _pytest.mark import ParameterSet

from gatepost.log import Level
from gatepost.protocol import events
from gatepost.protocol.events import Effect, Event, Send
from gatepost.sasl.mechanism import Credentials

NAMES: dict[str, object] = {
    **vars(events),
    "Credentials": Credentials,
    "INFO": Level.INFO,
    "plain": partial(Credentials, "plain", cleartext=True),
}

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)|\{(\d+)\*(.)\}")
_LETTERS = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


class Mode(Enum):
    LINES = "line by line"
    BYTES = "byte by byte"
    PIPELINED = "pipelined"


class Machine(Protocol):
    """What a client machine and an upstream machine have in common."""

    def receive(self, data: bytes) -> list[Effect]: ...

    def tell(self, event: Event) -> list[Effect]: ...


@dataclass
class Scene:
    """One event, then what arrives, and what must come of both."""

    event: Event | None = None
    arriving: list[bytes] = field(default_factory=list)
    expected: list[Effect] = field(default_factory=list)


def joined(effects: list[Effect]) -> list[Effect]:
    """``effects`` with neighbouring sends made one. What the log is told of an action is looked at elsewhere."""
    out: list[Effect] = []
    for effect in effects:
        if isinstance(effect, Send) and out and isinstance(out[-1], Send):
            out[-1] = Send(out[-1].data + effect.data)
        else:
            out.append(Send(effect.data) if isinstance(effect, Send) else effect)
    return out


def wire(text: str) -> bytes:
    """The bytes that the text of a step stands for."""

    def replace(match: re.Match[str]) -> str:
        escape, count, character = match.groups()
        if escape is None:
            return str(character) * int(count)
        return chr(int(escape[1:], 16)) if len(escape) == 3 else _LETTERS[escape]

    ends = not re.search(r"(?<!\\)(?:\\\\)*\\$", text)
    data = _ESCAPE.sub(replace, text if ends else text[:-1]).encode("latin-1")
    return data + b"\r\n" if ends else data


def scenes(transcript: str) -> list[Scene]:
    """The steps, cut before each event and before each run of arriving lines. Raises ValueError for bad ones."""
    found = [Scene()]
    for line in transcript.splitlines():
        step = line.strip()
        if not step or step.startswith("#"):
            continue
        mark, text = step[:2], step[2:].removeprefix(" ")
        last = found[-1]
        if mark in ("C:", "B:"):
            if last.expected:
                last = Scene()
                found.append(last)
            last.arriving.append(wire(text))
        elif mark in ("S:", "P:"):
            last.expected.append(Send(wire(text)))
        elif mark == ">>":
            last.expected.append(eval(text, NAMES))
        elif mark == "<<":
            found.append(Scene(event=eval(text, NAMES)))
        else:
            raise ValueError(f"not a step of a transcript: {step!r}")
    return found


def _pipelined(found: list[Scene]) -> Iterator[Scene]:
    """The scenes between two events made one."""
    whole = found[0]
    for scene in found[1:]:
        if scene.event is not None:
            yield whole
            whole = scene
        else:
            whole.arriving += scene.arriving
            whole.expected += scene.expected
    yield whole


def play(transcript: str, machine: Machine, mode: Mode, start: list[Effect] | None = None) -> None:
    """Play one transcript. ``start`` is what the machine asked for at the outset. Raises AssertionError."""
    found = scenes(transcript)
    if mode is Mode.PIPELINED:
        found = list(_pipelined(found))
    effects = list(start or ())
    for scene in found:
        if scene.event is not None:
            effects += machine.tell(scene.event)
        pieces = scene.arriving
        if mode is Mode.PIPELINED:
            pieces = [b"".join(pieces)] if pieces else []
        elif mode is Mode.BYTES:
            pieces = [bytes([byte]) for piece in pieces for byte in piece]
        for piece in pieces:
            effects += machine.receive(piece)
        assert joined(effects) == joined(scene.expected)
        effects = []


def cases(transcripts: Mapping[str, str], *more: object, prefix: str = "") -> list[ParameterSet]:
    """All transcripts in all modes, for ``pytest.mark.parametrize(("transcript", "mode", ...), ...)``."""
    return [
        pytest.param(transcript, mode, *more, id=f"{prefix}{name}, {mode.value}")
        for name, transcript in transcripts.items()
        for mode in Mode
    ]
