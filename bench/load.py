"""The load, in processes of its own: ``python -m bench.load KIND ...`` prints one line of JSON when it is done."""

import argparse
import json
import socket
import ssl
import sys
import time

from .clients import Connection, Target, Wait, drive, drive_paced
from .dialogues import DIALOGUES


def tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _session_of(target: Target) -> ssl.SSLSession:
    """One that can be resumed. In TLS 1.3 its ticket comes behind the handshake, so something is read first."""
    assert target.context is not None
    with target.context.wrap_socket(socket.create_connection((target.host, target.port), 10)) as first:
        first.recv(1000)
        session = first.session
    if session is None or not session.has_ticket:
        raise RuntimeError("the server sent no ticket")
    return session


def logins(target: Target, count: int, at_once: int, resume: bool) -> dict[str, float]:
    # One ticket for all: the server is asked to accept it, not to be kind to privacy.
    session = _session_of(target) if resume else None
    resumed = 0

    def story(connection: Connection) -> Wait:
        nonlocal resumed
        yield from connection.login()
        if isinstance(connection.socket, ssl.SSLSocket):
            resumed += bool(connection.socket.session_reused)
        yield from connection.logout()

    began = time.monotonic()
    drive(count, at_once, lambda: Connection(target, session), story)
    if resumed != (count if resume else 0):
        raise RuntimeError(f"{resumed} of {count} sessions were resumed")
    return {"units": count, "seconds": time.monotonic() - began}


def latency(target: Target, count: int) -> dict[str, object]:
    """Seconds from connect to the reply that says yes, one client alone."""
    taken: list[float] = []

    def story(connection: Connection) -> Wait:
        began = time.perf_counter()
        yield from connection.login()
        taken.append(time.perf_counter() - began)
        yield from connection.logout()

    drive(count, 1, lambda: Connection(target), story)
    return {"units": count, "taken": taken}


def paced(target: Target, count: int, per_second: float) -> dict[str, object]:
    """Seconds from when a login was due to the reply that says yes."""
    taken: list[float] = []

    def story(connection: Connection, due: float) -> Wait:
        yield from connection.login()
        taken.append(time.perf_counter() - due)
        yield from connection.logout()

    drive_paced(count, per_second, lambda: Connection(target), story)
    return {"units": count, "taken": taken}


def transfer(target: Target, total: int, at_once: int, upload: bool) -> dict[str, float]:
    """Move ``total`` bytes over ``at_once`` connections."""
    each = total // at_once
    block = memoryview(bytes(1 << 18))

    def story(connection: Connection) -> Wait:
        yield from connection.login()
        if upload:
            yield from connection.send(b"b UPLOAD %d\r\n" % each)
            left = each
            while left:
                piece = min(left, len(block))
                yield from connection.send(block[:piece])
                left -= piece
        else:
            yield from connection.send(b"b DOWNLOAD %d\r\n" % each)
            yield from connection.skip(each)
        yield from connection.upto(b"b OK")
        yield from connection.logout()

    began = time.monotonic()
    drive(at_once, at_once, lambda: Connection(target), story)
    return {"units": each * at_once / (1 << 30), "seconds": time.monotonic() - began}


def idle(target: Target, count: int, logged_in: bool) -> None:
    """Hold ``count`` silent clients, logged in or greeted, until standard input closes. Says when it has them."""
    held: list[Connection] = []

    def story(connection: Connection) -> Wait:
        yield from connection.login() if logged_in else connection.open()
        connection.forget_tls()
        held.append(connection)

    drive(count, 16, lambda: Connection(target), story)
    print(json.dumps({"units": len(held)}), flush=True)
    sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("kind", choices=["logins", "latency", "paced", "download", "upload", "greeted", "idle"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--source", default="", help="the address that the clients come from")
    parser.add_argument("--protocol", choices=sorted(DIALOGUES), default="imap")
    parser.add_argument("--clear", action="store_true", help="no TLS")
    parser.add_argument("--resume", action="store_true", help="resume one TLS session in all logins")
    parser.add_argument("--count", type=int, default=1, help="sessions; for transfers: bytes")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--per-second", type=float, default=50.0)
    chosen = parser.parse_args()
    context = None if chosen.clear else tls_context()
    target = Target(chosen.host, chosen.port, DIALOGUES[chosen.protocol], context, chosen.source)
    result: dict[str, object] | dict[str, float]
    match chosen.kind:
        case "logins":
            result = logins(target, chosen.count, chosen.at_once, chosen.resume)
        case "latency":
            result = latency(target, chosen.count)
        case "paced":
            result = paced(target, chosen.count, chosen.per_second)
        case "greeted" | "idle" as kind:
            idle(target, chosen.count, kind == "idle")
            return
        case kind:
            result = transfer(target, chosen.count, chosen.at_once, kind == "upload")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
