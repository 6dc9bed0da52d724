"""Clients that count on every byte, and clients that count on being let in; and the backend that both talk to."""

import random
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .line_client import LineClient
from .scripted_backend import imap_login
from .waiting import LIMIT_SECONDS, wait_until

MAX_BYTES = 40_000  # of one message: several TLS records
HEADER_BYTES = 4


def repeat(conversation: LineClient) -> None:
    """A backend that accepts every login and then repeats each message: four bytes of length, and so many bytes."""
    tag, _, _ = imap_login(conversation)
    conversation.send(tag + b" OK in\r\n")
    while True:
        header = conversation.take(HEADER_BYTES)
        conversation.send(header + conversation.take(int.from_bytes(header)))


class Talker:
    """A client that is logged in and keeps track of every byte."""

    def __init__(self, client: LineClient, seed: int) -> None:
        self.client = client
        self.exchanged = 0
        self._random = random.Random(seed)
        self._rest = b""
        self._expected = b""

    def begin(self) -> None:
        """Say a part of a message."""
        data = self._random.randbytes(self._random.randint(1, MAX_BYTES))
        message = len(data).to_bytes(HEADER_BYTES) + data
        cut = self._random.randint(1, len(message) - 1)
        self.client.send(message[:cut])
        self._rest, self._expected = message[cut:], message

    def finish(self) -> None:
        """Say the rest of it, and hear all of it."""
        self.client.send(self._rest)
        assert self.client.take(len(self._expected)) == self._expected
        self.exchanged += len(self._expected)


@contextmanager
def knocking(port: int, context: ssl.SSLContext) -> Iterator[Callable[[], int]]:
    """Clients that log in, talk and go, one after the other, four at a time; how many there have been.

    Raises what one of them has met: no one may be refused, reset, or not logged in.
    """
    over = threading.Event()
    lock = threading.Lock()
    served = 0

    def knock(seed: int) -> None:
        nonlocal served
        while not over.is_set():
            with open_session(port, context) as client:
                talker = Talker(client, seed)
                talker.begin()
                talker.finish()
            with lock:
                served += 1

    with ThreadPoolExecutor(4) as pool:
        knocks = [pool.submit(knock, seed) for seed in range(4)]
        try:
            yield lambda: -1 if any(each.done() for each in knocks) else served
        finally:
            over.set()
        for each in knocks:
            each.result(LIMIT_SECONDS)


def open_session(port: int, context: ssl.SSLContext) -> LineClient:
    client = LineClient.tls(port, context)
    try:
        assert client.line() == b"* OK IMAP4 ready"
        client.send(b"a LOGIN user password\r\n")
        assert client.line() == b"a OK in"
    except BaseException:
        client.close()
        raise
    return client


def a_few_more(served: Callable[[], int]) -> None:
    """Wait until some of those who knock have been served from now on."""
    before = served()
    wait_until(lambda: served() < 0 or served() > before + 8, "others to be served")
