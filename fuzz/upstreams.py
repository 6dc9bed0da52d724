"""What must hold for every upstream machine, whatever a server behind us says and however it is cut."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.protocol.events import Account, Declined, Effect, Failed, LoggedIn, Send
from gatepost.protocol.machine import UpstreamMachine
from gatepost.protocol.upstream import BaseUpstream

from .target import cuttings, is_one_line


@dataclass(frozen=True)
class Login:
    """One login: ``make`` makes a fresh machine, ``script`` is what it may say, in this order and no more.

    ``limit``: bytes of one reply. ``secrets`` must not be in the machine when it has ended.
    """

    make: Callable[[], BaseUpstream]
    script: Sequence[bytes]
    limit: int
    secrets: Sequence[bytes]
    other: Sequence[bytes] = ()  # another script, for a server that allows it

    def check(self, stream: bytes, seed: int) -> Effect | None:
        """Play ``stream`` in every cut; the effect that ended the login. Raises AssertionError."""
        outcomes = [self.play(pieces) for pieces in cuttings(stream, seed)]
        effects, rest = outcomes[0]
        assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
        last = effects[-1] if effects else None
        if isinstance(last, LoggedIn):
            assert stream.endswith(rest)
        elif last is not None and not isinstance(last, Send):
            assert rest == b""
            assert isinstance(last, Declined | Failed)
        if isinstance(last, Declined):
            assert last.text in last.reply or not last.reply
        elif isinstance(last, Failed):
            assert is_one_line(last.text)
        return last

    def play(self, pieces: Sequence[bytes]) -> tuple[list[Effect], bytes]:
        upstream = self.make()
        effects: list[Effect] = []
        over = False
        for piece in pieces:
            found = upstream.receive(piece)
            assert not (over and found), "something came behind the end"
            effects += found
            over = bool(effects) and not isinstance(effects[-1], Send)
            assert over or len(upstream._input) + len(upstream._reply) <= self.limit
        said = [effect.data for effect in effects if isinstance(effect, Send)]
        assert said in (list(self.script[: len(said)]), list(self.other[: len(said)])), said
        assert all(isinstance(effect, Send) for effect in effects[:-1])
        if over:
            assert not any(holds(upstream, secret) for secret in self.secrets)
        return effects, upstream.rest()


def holds(machine: object, secret: bytes) -> bool:
    """Whether a slotted object, or what it holds directly or in a row, has ``secret`` in it."""
    if not secret:
        return False
    if isinstance(machine, bytes | bytearray):
        return secret in machine
    if isinstance(machine, list | tuple):
        return any(holds(item, secret) for item in machine)
    slots = (name for cls in type(machine).__mro__ for name in getattr(cls, "__slots__", ()))
    return any(holds(getattr(machine, name, None), secret) for name in slots if name not in ("_input", "_reply"))


def log_in(upstream: UpstreamMachine, replies: Sequence[bytes]) -> list[bytes]:
    """What the machine says to a server that says ``replies``."""
    return [effect.data for reply in replies for effect in upstream.receive(reply) if isinstance(effect, Send)]


def account(user: bytes, password: bytes | None) -> Account:
    return Account(user, password, proven=True)
