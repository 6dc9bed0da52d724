"""The soak runs, short, and it can fail."""

import asyncio
import contextlib
import dataclasses
import gc
import os
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uvloop

from soak.__main__ import Plan, Soak
from soak.ledger import End, Flow, Ledger, Record
from soak.state import State, differences
from soak.troubles import clients_of

ROOT = Path(__file__).parent.parent.parent


def test_a_short_night() -> None:
    """Of everything that happens in a long one, something happens; nothing is lost, and all is back."""
    done = subprocess.run(
        [sys.executable, "-m", "soak", "--seconds", "10", "--connections", "40", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=160,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {
        title: int(count) for title, count in re.findall(r"^\| (.+?) \| (\d+) \|$", done.stdout, re.MULTILINE)
    }
    assert figures["failures"] == 0
    assert figures["connections at a time, at most"] <= 40
    for title in ("reloads", "killed workers", "logins", "bytes from clients that arrived"):
        assert figures[title] > 0, done.stdout
    assert figures[f"sessions that {End.WHOLE.value}"] > 0
    assert figures[f"sessions that {End.ABORTED.value}"] > 0
    assert any("authentication service" in title for title in figures)


@pytest.mark.parametrize(
    ("message", "error", "failures"),
    [
        (
            "Future exception was never retrieved",
            ConnectionResetError(),
            [],
        ),  # a client left as its connection broke
        ("handler failed", RuntimeError("unable to perform; the handler is closed"), []),
        (
            "Task exception was never retrieved",
            ValueError("7"),
            ["Task exception was never retrieved: ValueError('7')"],
        ),
        ("handler failed", ConnectionResetError(), ["handler failed: ConnectionResetError()"]),
        (
            "Task exception was never retrieved",
            ConnectionResetError(),
            ["Task exception was never retrieved: ConnectionResetError()"],
        ),
    ],
)
def test_an_error_that_nobody_catches_is_a_failure(
    tmp_path: Path, message: str, error: Exception, failures: list[str]
) -> None:
    soak = Soak(Plan(1, 1, 1), tmp_path)
    loop = asyncio.new_event_loop()
    soak._unheard(loop, {"message": message, "exception": error})
    loop.close()
    assert soak._ledger.failures == failures


def test_a_client_that_left_before_its_handshake_is_no_failure(tmp_path: Path) -> None:
    """With the turn in which it leaves, what uvloop says of it is the same every time."""
    soak, heard = Soak(Plan(1, 1, 1), tmp_path), list[str]()

    def hear(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        heard.append(context["message"])
        soak._unheard(loop, context)

    async def leave() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(hear)
        near, far = socket.socketpair()
        far.close()
        near.setblocking(False)
        client = loop.create_task(
            asyncio.open_connection(sock=near, ssl=ssl.create_default_context(), server_hostname="localhost")
        )
        for _ in range(2):
            await asyncio.sleep(0)
        client.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await client
        for _ in range(8):
            await asyncio.sleep(0)
        del client
        gc.collect()

    uvloop.run(leave())
    assert heard == ["Future exception was never retrieved"]
    assert soak._ledger.failures == []


def test_a_wrong_byte_is_found() -> None:
    flow = Flow()
    flow.send(b"abcdef")
    flow.take(b"abc")
    with pytest.raises(ValueError, match="bytes 3 to 5 are not those"):
        flow.take(b"dX")


def test_a_byte_that_nobody_sent_is_found() -> None:
    flow = Flow()
    flow.send(b"ab")
    with pytest.raises(ValueError, match="bytes 0 to 3"):
        flow.take(b"abc")


def session(ledger: Ledger) -> Record:
    record = ledger.begin("imap")
    assert ledger.find(record.user, "imap") is record
    record.down.send(b"abcdef")
    record.down.take(b"abc")
    return record


@pytest.mark.parametrize("how", [End.ABORTED, End.KILLED])
def test_what_was_under_way_may_be_lost_with_the_session(how: End) -> None:
    ledger = Ledger()
    record = session(ledger)
    ledger.end(record, how)
    assert ledger.live  # its backend goes on
    ledger.leave(record)
    assert not ledger.live
    assert (ledger.down_bytes, ledger.lost_bytes, ledger.failures) == (3, 3, [])


def test_a_session_that_came_to_its_end_may_lose_nothing() -> None:
    ledger = Ledger()
    record = session(ledger)
    ledger.leave(record)
    ledger.end(record, End.WHOLE)
    (failure,) = ledger.failures
    assert "lost 3 bytes" in failure


def test_nobody_logs_in_twice_or_as_somebody_else() -> None:
    ledger = Ledger()
    record = session(ledger)
    ledger.find(record.user, "imap")
    ledger.find("s2@soak.example", "imap")
    assert ledger.failed == 2


def test_nobody_may_be_refused_who_came_after_an_outage() -> None:
    ledger = Ledger()
    record = ledger.begin("imap")
    ledger.away_until = record.began - 1
    assert not ledger.may_be_refused(record)
    ledger.away_until = record.began + 1
    assert ledger.may_be_refused(record)


START = State(
    processes=3,
    master_descriptors=20,
    worker_descriptors=(30, 30),
    connections=0,
    zone_files=("zone-a",),
    own_bytes=100,
    rss_bytes=200,
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"processes": 4}, "processes: 3 at the start, 4 at the end"),
        ({"master_descriptors": 21}, "descriptors of the master: 20 at the start, 21 at the end"),
        ({"worker_descriptors": (30, 31)}, "descriptors of each worker: 30, 30 at the start, 30, 31 at the end"),
        ({"connections": 1}, "connections: 0 at the start, 1 at the end"),
        ({"zone_files": ("zone-a", "zone-b")}, "zones: 1 at the start, 2 at the end"),
        ({"own_bytes": 111}, "own memory of all processes, MB: 0.0 at the start, 0.0 at the end"),
        ({"rss_bytes": 221}, "RSS of all processes, MB: 0.0 at the start, 0.0 at the end"),
    ],
)
def test_what_is_not_back_is_named(change: dict[str, object], said: str) -> None:
    end = dataclasses.replace(START, **change)  # type: ignore[arg-type]
    assert differences(START, end) == [said]


def test_memory_may_differ_by_a_tenth() -> None:
    assert differences(START, dataclasses.replace(START, own_bytes=110, rss_bytes=150)) == []


def test_a_process_is_asked_for_its_clients() -> None:
    """Of ourselves: a connection with both ends here is there from either side."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with taken:
            ours, theirs = client.getsockname()[1], server.getsockname()[1]
            assert {(ours, theirs), (theirs, ours)} <= clients_of(os.getpid())
