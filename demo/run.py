"""A mail server with one user, and gatepost in front of it, on this machine only: ``make demo``.

Everything lives in a temporary directory and on unprivileged loopback ports: a certificate authority made for this
run, pymap (an IMAP server in Python) with a few messages, gatepost with ``proxy_pass``. Ctrl-C ends all of it.
``--check`` logs in by itself, over IMAPS and over STARTTLS, prints what it saw and ends.
"""

import argparse
import contextlib
import imaplib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import trustme

USER, PASSWORD = "demouser", "demopass"  # pymap's own for its demonstration data
HOST = "127.0.0.1"
LIMIT_SECONDS = 60.0  # for a server to start or to end

CONFIGURATION = """\
# The TLS edge of a mail system in a few lines. Try: gatepost -t -c {path}
daemon off;
worker_processes 1;
pid {directory}/gatepost.pid;
error_log {directory}/gatepost.log info;

events {{
    worker_connections 256;
}}

mail {{
    proxy_pass {host}:{backend};  # the IMAP server that knows the users
    ssl_certificate     {directory}/server.pem;
    ssl_certificate_key {directory}/server.key;

    server {{
        listen {host}:{imaps} ssl;
        protocol imap;
    }}
    server {{
        listen {host}:{imap};
        protocol imap;
        starttls only;
    }}
}}
"""

HELP = """
gatepost stands in front of an IMAP server. Try, from another terminal:

  curl --cacert {ca} --user {user}:{password} imaps://localhost:{imaps}/
  curl --cacert {ca} --user {user}:{password} 'imaps://localhost:{imaps}/INBOX;MAILINDEX=1'
  curl --cacert {ca} --user {user}:{password} --ssl-reqd imap://localhost:{imap}/

  openssl s_client -quiet -crlf -CAfile {ca} -connect localhost:{imaps}
  openssl s_client -quiet -crlf -CAfile {ca} -connect localhost:{imap} -starttls imap
      then type:  a LOGIN {user} {password}
                  b LIST "" *
                  c LOGOUT

configuration: {directory}/gatepost.conf
log:           {directory}/gatepost.log

Ctrl-C ends everything and removes {directory}.
"""


class Child:
    """A server of ours: started here, ended here, by its process id."""

    def __init__(self, name: str, command: Sequence[str], output: Path) -> None:
        self.name = name
        self.output = output
        with open(output, "wb") as sink:
            # In a session of its own: Ctrl-C is for us, and we end the servers in the right order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )

    def wait_for_port(self, port: int) -> None:
        """Return when it accepts connections on ``port``. Ends the demonstration if it does not."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.output.read_text(errors="replace")
                raise SystemExit(f"demo: {self.name} did not start; it said:\n{said}")
            time.sleep(0.05)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(LIMIT_SECONDS)


def free_port(wanted: int) -> int:
    """``wanted``, or the next one upwards in steps of a hundred that nobody listens on."""
    for port in range(wanted, 32_000, 100):  # below the ports that the kernel gives to outgoing connections
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise SystemExit(f"demo: no free port from {wanted} upwards")


def make_certificate(directory: Path) -> Path:
    """A new authority and a certificate for localhost in ``directory``; the path of the authority."""
    authority = trustme.CA(organization_name="gatepost demo")
    issued = authority.issue_cert("localhost", HOST)
    ca = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    (directory / "server.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key = os.open(directory / "server.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(key, "wb") as file:
        file.write(issued.private_key_pem.bytes())
    return ca


@contextlib.contextmanager
def running(directory: Path, ports: tuple[int, int, int]) -> Iterator[tuple[Child, Child]]:
    """Both servers, ended in reverse order: gatepost first, then what is behind it."""
    backend, imaps, imap = ports
    configuration = directory / "gatepost.conf"
    configuration.write_text(
        CONFIGURATION.format(
            path=configuration, directory=directory, host=HOST, backend=backend, imaps=imaps, imap=imap
        )
    )
    pymap = [sys.executable, "-c", "from pymap.main import main; main()", "--host", HOST, "--port", str(backend)]
    with contextlib.ExitStack() as stack:
        # No TLS behind the edge: both ends are this machine.
        server = Child("pymap", [*pymap, "--no-tls", "dict", "--demo-data"], directory / "pymap.log")
        stack.callback(server.stop)
        server.wait_for_port(backend)
        gatepost = [sys.executable, "-m", "gatepost", "-c", str(configuration), "-p", str(directory)]
        edge = Child("gatepost", [*gatepost, "-e", f"{directory}/gatepost.log"], directory / "gatepost.out")
        stack.callback(edge.stop)
        edge.wait_for_port(imaps)
        edge.wait_for_port(imap)
        yield server, edge


def look_around(client: imaplib.IMAP4, how: str) -> None:
    """Log in, open the INBOX, fetch the first message; print all of it. Ends the demonstration on a surprise."""
    client.login(USER, PASSWORD)
    status, count = client.select("INBOX", readonly=True)
    if status != "OK" or not count[0]:
        raise SystemExit(f"demo: {how}: SELECT INBOX said {status} {count}")
    status, parts = client.fetch("1", "(BODY.PEEK[])")
    if status != "OK" or not isinstance(parts[0], tuple):
        raise SystemExit(f"demo: {how}: FETCH said {status} {parts}")
    message = parts[0][1]
    subject = next((line for line in message.splitlines() if line.lower().startswith(b"subject:")), b"(no subject)")
    tls = client.sock.version() if isinstance(client.sock, ssl.SSLSocket) else None
    print(f"{how}: {tls}, logged in as {USER}, INBOX has {int(count[0])} messages")
    print(f"{how}: message 1 has {len(message)} bytes; {subject.decode(errors='replace')}")
    client.logout()


def check(ca: Path, imaps: int, imap: int) -> None:
    """What a mail program does, both ways in, with the certificate verified."""
    context = ssl.create_default_context(cafile=str(ca))
    look_around(imaplib.IMAP4_SSL("localhost", imaps, ssl_context=context, timeout=LIMIT_SECONDS), "IMAPS")
    clear = imaplib.IMAP4("localhost", imap, timeout=LIMIT_SECONDS)
    clear.starttls(context)
    look_around(clear, "STARTTLS")


def leave(_number: int, _frame: FrameType | None) -> None:
    """Handler of the first signal; what is being ended then is not interrupted by a second one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def stay(children: tuple[Child, Child]) -> None:
    """Until a signal comes, or until a server ends by itself."""
    while True:
        time.sleep(1)
        for child in children:
            if child.ended():
                raise SystemExit(
                    f"demo: {child.name} has ended; it said:\n{child.output.read_text(errors='replace')}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description="gatepost in front of a sandbox mail server.")
    parser.add_argument("--check", action="store_true", help="log in, fetch a message, print what was seen, end")
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    directory = Path(tempfile.mkdtemp(prefix="gatepost-demo-"))
    # Run by root, gatepost's workers are somebody else, who must be able to walk in here; the key stays private.
    directory.chmod(0o711)
    imaps, imap, backend = free_port(10993), free_port(10143), free_port(10144)
    try:
        ca = make_certificate(directory)
        with running(directory, (backend, imaps, imap)) as children:
            if chosen.check:
                check(ca, imaps, imap)
            else:
                print(
                    HELP.format(ca=ca, user=USER, password=PASSWORD, imaps=imaps, imap=imap, directory=directory),
                    flush=True,
                )
                stay(children)
        print("demo: everything works")
    except KeyboardInterrupt:
        print("\ndemo: ended")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
