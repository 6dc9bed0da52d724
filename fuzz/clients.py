"""What must hold for every client machine, whatever a client sends and however it is cut.

An input plays a whole session: scenes of arriving bytes, and between them what the machine waits for. Logins are
answered as the input says; one that is accepted ends the play, as the relay would begin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gatepost.auth.message import Layout, Request, layout, request_bytes
from gatepost.protocol.events import (
    Account,
    Authenticate,
    AuthRefused,
    BackendRefused,
    ClientNamed,
    Close,
    Effect,
    Event,
    Note,
    ResolveClient,
    Send,
    StartTls,
    TlsReady,
    Wake,
    Woke,
)
from gatepost.protocol.framing import Framer
from gatepost.protocol.machine import ClientMachine, UpstreamMachine

from .target import CURTAIN, cuttings, is_one_line

LAYOUT: Layout = layout(b"auth.example", b"/", ((b"X-Key", b"k"),))
CLIENT_IP = "192.0.2.1"
CLIENT_HOST = b"client.example"
EFFECTS_PER_LINE = 4  # a note, an answer, the end of the session, and what a login asks for
BREAKS = frozenset(b"\r\n\0")

REFUSALS = (
    AuthRefused(b"no", final=False),
    AuthRefused(b"no\r\n* OK injected\r\n+OK injected\r\n250 injected\0", final=False),
    BackendRefused(b"* NO no\r\n"),
    AuthRefused(b"no", final=True, code=b"535 5.7.8"),
    None,  # accepted
)


class Client(ClientMachine, Protocol):
    """A client machine that lets its input be looked at."""

    _input: Framer


@dataclass
class Played:
    """What came of a session. ``rest`` is for the relay, where a login was accepted."""

    effects: list[Effect] = field(default_factory=list)
    rest: bytes | None = None


@dataclass(frozen=True)
class Game:
    """How to play: the same for all cuts.

    ``make`` makes a fresh machine; ``limit`` is what its input may hold; ``log_in`` plays a well-behaved server
    against the machine for the upstream and returns what that one was told. ``answers`` are for logins, the last
    one for ever.
    """

    protocol: str
    make: Callable[[], Client]
    limit: int
    answers: Sequence[AuthRefused | BackendRefused | None]
    log_in: Callable[[UpstreamMachine, Account], None]

    def check(self, stream: bytes, seed: int) -> None:
        """Play ``stream`` in every cut. Raises AssertionError."""
        scenes = stream.split(CURTAIN)
        cuts = zip(*(cuttings(scene, seed) for scene in scenes), strict=True)
        outcomes = [self.play(cut) for cut in cuts]
        whole = outcomes[0]
        assert all(outcome == whole for outcome in outcomes), outcomes
        assert len(whole.effects) <= EFFECTS_PER_LINE * (stream.count(b"\n") + len(scenes) + len(self.answers) + 2)
        assert Close() not in whole.effects[:-1]

    def play(self, scenes: Sequence[Sequence[bytes]]) -> Played:
        client = self.make()
        session = _Session(self, client, list(self.answers))
        session.take(client.start())
        for number, scene in enumerate(scenes):
            if number:
                session.happen()
            for piece in scene:
                session.arrive(piece)
        effects = _joined(session.effects)
        return Played(effects, client.rest() if session.accepted else None)


class _Session:
    """One play of one machine."""

    def __init__(self, game: Game, client: Client, answers: list[AuthRefused | BackendRefused | None]) -> None:
        self.game = game
        self.client = client
        self.answers = answers
        self.effects: list[Effect] = []
        self.waits_for: Event | None = None
        self.closed = False
        self.accepted = False
        self.attempts = 0

    def arrive(self, piece: bytes) -> None:
        waited_for = self.waits_for
        if isinstance(waited_for, Woke):
            self.waits_for = None  # input is what ends that wait, too
        effects = self.client.receive(piece)
        if self.closed or self.accepted or isinstance(waited_for, TlsReady | ClientNamed):
            assert effects == []
        # Between STARTTLS and the handshake nothing is kept, let alone obeyed (CVE-2011-0411).
        limit = 0 if self.closed or isinstance(waited_for, TlsReady) else self.game.limit
        self.take(effects)
        assert self.accepted or isinstance(waited_for, ClientNamed | Woke) or len(self.client._input) <= limit

    def happen(self) -> None:
        event, self.waits_for = self.waits_for, None
        if event is not None:
            self.take(self.client.tell(event))

    def take(self, effects: list[Effect]) -> None:
        """Look at effects and do what they ask for."""
        while effects:
            for effect in effects[:-1]:
                assert isinstance(effect, Send | Note), effect
            for effect in effects:
                self.look_at(effect)
            self.effects += effects
            effects = self.perform(effects[-1])

    def look_at(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            assert effect.data.endswith(b"\r\n")
        elif isinstance(effect, Note):
            assert is_one_line(effect.text), effect

    def perform(self, effect: Effect) -> list[Effect]:
        """What the machine says to the outcome."""
        if isinstance(effect, Close | StartTls):
            assert len(self.client._input) == 0
            self.closed = isinstance(effect, Close)
        if isinstance(effect, Authenticate):
            return self.authenticate(effect)
        waits: dict[type[Effect], Event] = {
            StartTls: TlsReady(),
            ResolveClient: ClientNamed(CLIENT_HOST),
            Wake: Woke(),
        }
        self.waits_for = waits.get(type(effect))
        assert self.waits_for or isinstance(effect, Send | Note | Close), effect
        return []

    def authenticate(self, effect: Authenticate) -> list[Effect]:
        self.attempts += 1
        credentials = effect.credentials
        told = b"".join(name + value for name, value in effect.extra)
        assert not BREAKS & set(credentials.user + credentials.secret + told)
        check_request(self.game.protocol, self.attempts, effect)
        account = Account(credentials.user, credentials.secret, proven=False)
        self.game.log_in(self.client.upstream(account), account)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            self.accepted = True
            return []
        return self.client.tell(answer)


def check_request(protocol: str, attempt: int, effect: Authenticate) -> None:
    """Nothing that a client says adds a line to what the authentication service is asked, or ends it early."""
    sent = request_bytes(
        Request(effect.credentials, protocol, attempt, CLIENT_IP, None, effect.client_host, effect.extra), LAYOUT
    )
    lines = sent.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert not any(BREAKS & set(line) for line in lines)
    names = [line.partition(b": ")[0] for line in lines[1:-2]]
    expected = [b"Host", b"Auth-Method", b"Auth-User", b"Auth-Pass"]
    expected += [b"Auth-Salt"] * bool(effect.credentials.salt)
    expected += [b"Auth-Protocol", b"Auth-Login-Attempt", b"Client-IP"]
    expected += [b"Client-Host"] * (effect.client_host is not None)
    expected += [name for name, _ in effect.extra]
    expected += [b"X-Key"]
    assert names == expected, names


def _joined(effects: Sequence[Effect]) -> list[Effect]:
    """Neighbouring sends made one; of what came before the greeting the log shows as much as has arrived."""
    out: list[Effect] = []
    for effect in effects:
        if isinstance(effect, Send) and out and isinstance(out[-1], Send):
            out[-1] = Send(out[-1].data + effect.data)
        elif isinstance(effect, Send):
            out.append(Send(effect.data))
        elif isinstance(effect, Note) and effect.text.startswith("client was rejected before greeting"):
            out.append(Note(effect.level, "client was rejected before greeting"))
        else:
            out.append(effect)
    return out
