"""One fault while it is played: its servers, its place in the configuration, and how far it has come."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack

from tests.functional.auth_service import accept
from tests.functional.line_client import LineClient
from tests.functional.ports import claim_port
from tests.functional.scripted_backend import ScriptedBackend
from tests.functional.waiting import LIMIT_SECONDS, wait_until

from .fault import Fault, Place, Server
from .peer import Peer, Script, accepts, lets_in

WELL_BEHAVED: tuple[Script, ...] = (accepts, lets_in)


class Scene:
    """What scripts and clients of ``fault`` work with. Its servers listen from the beginning until ``close``."""

    def __init__(self, fault: Fault, trusting: ssl.SSLContext, on_reached: Callable[[], None]) -> None:
        """``trusting`` is for clients. ``on_reached`` is called once, by who has come so far."""
        self.fault = fault
        self.port = 0  # where the daemon listens, once it does
        self.log: Callable[[], str] = str  # all that it has logged
        self.met = threading.Event()  # a server has come to where the client wants to leave
        self.left = threading.Event()  # which it has done now
        self._trusting = trusting
        self.reached = threading.Event()
        self.settled = threading.Event()  # it has come to the fault, or it is over without
        self._on_reached = on_reached
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._servers = ExitStack()
        self.backend = self._open(fault.backend)
        self.service = self._open(fault.service)

    def close(self) -> None:
        self._over.set()
        self._servers.close()

    # For the scripts

    def connect(self, *, below_tls: bool = False) -> LineClient:
        """A client; it has shaken hands where the listener speaks TLS, unless it wants to do that itself."""
        client = LineClient.plain(self.port)
        if "ssl" in self.fault.listen and not below_tls:
            self.start_tls(client)
        return client

    def wait_for_log(self, text: str) -> None:
        """Until a line of this session begins with ``text``."""
        wait_until(lambda: f"{text}, client: 127.0.0.1, server: 127.0.0.1:{self.port}" in self.log(), text)

    def start_tls(self, client: LineClient) -> None:
        client.start_tls(self._trusting)

    @property
    def verdict(self) -> bytes:
        """What a service says that lets the client in."""
        return accept(self.backend).message(keep=True)

    def reach(self) -> None:
        """The fault is there: from now on it is its outcome that counts. Others are asked how they are."""
        with self._lock:
            first = not self.reached.is_set()
            self.reached.set()
            self.settled.set()
        if first:
            self._on_reached()

    def wait_for_end(self) -> None:
        self._over.wait(LIMIT_SECONDS)

    def pause(self, seconds: float) -> None:
        self._over.wait(seconds)

    # Servers

    def _open(self, what: Server) -> int:
        """The port of a server that does ``what``."""
        if isinstance(what, Place):
            self.reached.set()
            self.settled.set()
            return claim_port() if what is Place.DOWN else self._open_deaf()
        script = what

        def play(conversation: LineClient) -> None:
            script(Peer(conversation, self))
            if script not in WELL_BEHAVED:
                self.reach()

        return self._servers.enter_context(ScriptedBackend(play)).port

    def _open_deaf(self) -> int:
        listener = self._servers.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = listener.getsockname()
        for _ in range(3):  # a queue has room for one more than it says
            waiting = self._servers.enter_context(socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            waiting.connect_ex(place)
        return int(place[1])
