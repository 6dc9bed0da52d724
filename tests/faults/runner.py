"""Plays a table of faults against one daemon: a server of the configuration for each row, all rows at once.

Time limits are what most rows wait for, so they wait together. Only a few at a time are on their way to their
fault: on a busy machine a crowd would run into the limits before it. Whenever a row has got there, a session
that was there before all of them has to go on working.
"""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.functional.certificates import Certificates
from tests.functional.gateway import Gateway
from tests.functional.line_client import LineClient
from tests.functional.process import descriptors
from tests.functional.waiting import LIMIT_SECONDS, wait_until

from .fault import ANYTHING, Fault
from .scene import Scene
from .speech import PASSWORD
from .visitor import greeted, logs_in

ON_THEIR_WAY = 6  # rows at once that have not come to their fault yet

# Time limits of all rows. Somebody who has to be waited for is waited for so long; nobody else needs a tenth of it.
LIMITS = """
    timeout 2s;
    auth_http_timeout 2s;
    proxy_timeout 2s;
"""

_LINE = re.compile(r"\S+ \S+ (\[\w+\]) \d+#0: \*\d+ (.*)")
_OF = re.compile(r"(?:server: 127\.0\.0\.1|connected to 127\.0\.0\.1):(\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a row. ``error`` is what went wrong with the play itself."""

    sees: bytes
    error: BaseException | None


class Bystander:
    """A session that was there before. Everybody may ask how it is."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lock = threading.Lock()
        self._client = self._log_in()
        self.asked = 0

    def _log_in(self) -> LineClient:
        client = self._scene.connect()
        greeted(self._scene, client)
        assert client.command(self._scene.fault.speech.commands("bystander")[0].rstrip()) == b"a OK in"
        return client

    def ask(self) -> None:
        with self._lock:
            self.asked += 1
            said = b"still there? %d" % self.asked
            assert self._client.command(said) == said

    def come_and_go(self) -> None:
        """The same for somebody who comes now."""
        with self._log_in() as client:
            assert client.command(b"hello") == b"hello"

    def close(self) -> None:
        self._client.close()


class Performance:
    """All of a table, played. Made once; ``check`` then judges row by row."""

    def __init__(self, directory: Path, faults: Sequence[Fault], certificates: Certificates) -> None:
        nobody = Fault(name="bystander", sees=b"", log=(), directives="timeout 60s; proxy_timeout 60s;")
        self._outcomes: dict[str, Outcome] = {}
        # Ports are known only when the daemon starts; a row learns its own then.
        trusting = certificates.client_context()
        scenes = [Scene(fault, trusting, self._on_reached) for fault in (nobody, *faults)]
        self._scenes = {scene.fault.name: scene for scene in scenes}
        assert len(self._scenes) == len(scenes), "two faults have one name"
        servers = (_server(scene, number) for number, scene in enumerate(scenes))
        mail = LIMITS + certificates.directives("ecdsa") + "".join(servers)
        try:
            with Gateway(directory, mail, ports=len(scenes)) as gateway:
                for scene, port in zip(scenes, gateway.ports, strict=True):
                    scene.port = port
                    scene.log = gateway.log
                self._play(gateway, scenes)
                self.log = gateway.log()
        finally:
            for scene in scenes:
                scene.close()
        self._lines = _by_server(self.log)

    def _play(self, gateway: Gateway, scenes: Sequence[Scene]) -> None:
        (worker,) = gateway.workers
        self.trouble: BaseException | None = None
        first, *rest = scenes
        self._bystander = Bystander(first)
        before = descriptors(worker)  # with the bystander's two, and its service's, which is kept for reuse
        with ThreadPoolExecutor(len(scenes)) as visits, ThreadPoolExecutor(ON_THEIR_WAY) as run_ups:

            def start(scene: Scene) -> "Future[bytes]":
                future = visits.submit(_visit, scene)
                future.add_done_callback(lambda _: scene.settled.set())
                scene.settled.wait(LIMIT_SECONDS)
                return future

            for scene, future in zip(rest, run_ups.map(start, rest), strict=True):
                self._outcomes[scene.fault.name] = _outcome(future)
        self.asked = self._bystander.asked
        self._attempt(self._bystander.ask)
        self._attempt(self._bystander.come_and_go)
        # A client that leaves does not see how its session ends, and the servers must not end it.
        self._attempt(lambda: wait_until(lambda: _has_all(gateway.log(), rest), "all lines", step_seconds=0.1))
        for scene in rest:
            scene.close()
        text = f"the worker to have {before} descriptors, as before"
        self._attempt(lambda: wait_until(lambda: descriptors(worker) == before, text))
        self._bystander.close()
        self.workers = (worker, *gateway.workers)

    def _on_reached(self) -> None:
        self._attempt(self._bystander.ask)

    def _attempt(self, what: Callable[[], None]) -> None:
        """What goes wrong here is nobody's row, and must not end anybody's script."""
        try:
            what()
        except (AssertionError, OSError, EOFError) as error:
            self.trouble = self.trouble or error

    # Judging

    def check(self, fault: Fault) -> None:
        outcome = self._outcomes[fault.name]
        scene = self._scenes[fault.name]
        if outcome.error is not None:
            raise outcome.error
        assert scene.reached.is_set(), "it never came to the fault"
        lines = self._lines.get(scene.port, [])
        wanted: list[list[object]] = [[_Pattern(line, scene) for line in log] for log in fault.logs]
        story = f"the client saw {outcome.sees!r:.1000},\nwanted {fault.sees!r:.1000};\nthe log has"
        assert (outcome.sees == fault.sees, lines in wanted) == (True, True), f"{story} {lines},\nwanted {wanted}"

    def check_everybody_else(self) -> None:
        """Nobody but the session at fault has noticed anything."""
        if self.trouble is not None:
            raise self.trouble
        assert self.asked >= 1
        assert self.workers[1:] == self.workers[:1], "the worker is another"
        known = {scene.port for scene in self._scenes.values()}
        assert set(self._lines) <= known, "lines of nobody's session"
        assert not re.search(r"\[(alert|emerg|crit)\]", self.log), self.log
        assert PASSWORD not in self.log


class _Pattern:
    """A line of a fault, filled in: equal to the line that the log should have."""

    def __init__(self, line: str, scene: Scene) -> None:
        fault = scene.fault
        named = fault.speech.names_user
        for word, value in (
            ("server", str(scene.port)),
            ("service", f"127.0.0.1:{scene.service}"),
            ("upstream", str(scene.backend)),
            ("login", f', login: "{fault.user}"' if named else ""),
            ("using", " using starttls" if fault.starttls else ""),
        ):
            line = line.replace("{" + word + "}", value)
        self._line = line

    def __eq__(self, other: object) -> bool:
        expression = ".*".join(map(re.escape, self._line.split(ANYTHING)))
        return isinstance(other, str) and re.fullmatch(expression, other) is not None

    def __hash__(self) -> int:
        return hash(self._line)

    def __repr__(self) -> str:
        return repr(self._line)


def _server(scene: Scene, number: int) -> str:
    """As the gateway wants it: a number in braces for a port, other braces twice."""
    fault = scene.fault
    return f"""
    server {{{{
        listen 127.0.0.1:{{{number}}} {fault.listen};
        protocol {fault.speech.protocol};
        auth_http 127.0.0.1:{scene.service};
        {fault.speech.directives}
        {fault.directives}
    }}}}
    """


def _visit(scene: Scene) -> bytes:
    client = scene.fault.client
    seen = client(scene)
    if client is not logs_in:
        scene.reach()
    return seen


def _outcome(future: "Future[bytes]") -> Outcome:
    try:
        return Outcome(future.result(2 * LIMIT_SECONDS), None)
    except BaseException as error:  # noqa: BLE001 - it is the row's, and raised again when the row is judged
        return Outcome(b"", error)


def _has_all(log: str, scenes: Sequence[Scene]) -> bool:
    """Whether every session has as many lines as it should have."""
    lines = _by_server(log)
    return all(len(lines.get(scene.port, ())) >= min(map(len, scene.fault.logs)) for scene in scenes)


def _by_server(log: str) -> dict[int, list[str]]:
    """The lines of sessions by the port of their server, without time, process and number; not those of accepts."""
    found: dict[int, list[str]] = {}
    for line in log.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        whose = _OF.search(line)
        port = int(whose[1]) if whose else 0
        lines = found.setdefault(port, [])
        if " connected to " not in line:
            lines.append(f"{match[1]} {match[2]}")
    return found
