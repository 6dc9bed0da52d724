"""The servers that are compared. A new one, or another way to run gatepost, is one more row in ``find_peers``."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gatepost
from tests.functional.process import program

from .configurations import write_dovecot, write_haproxy, write_nginx
from .site import DOORS, Site

REFERENCE = "nginx"  # whom the others are compared with
ROOT = Path(__file__).parent.parent
UNIT = ROOT / "packaging" / "systemd" / "gatepost.service"
UNIT_REMARK = "in the environment that its unit file sets"
COMPILED = ROOT / "build" / "compiled"  # see the Makefile
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"
_LOAD_MODULE = f"load_module {NGINX_MODULE};"
_ORIENTATION_ROUNDS = 3
_DOVECOT_SERIES = "2.3."  # the configuration language changed with 2.4


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that can be measured.

    ``command`` writes its configuration and gives the command line. ``doors`` are those it has, at ``hosts`` where
    that is not 127.0.0.1. ``reload`` writes a configuration with one listener more; ``reload_signal`` makes it read
    that. ``check`` is what the command line has besides to read the configuration, say whether it is good, and end.
    """

    name: str
    version: str
    command: Callable[[Site], tuple[str, ...]]
    environment: Mapping[str, str] = field(default_factory=dict)
    doors: tuple[str, ...] = DOORS
    hosts: Mapping[str, str] = field(default_factory=dict)
    reload: Callable[[Site], object] | None = None
    reload_signal: signal.Signals = signal.SIGHUP
    check: tuple[str, ...] = ()
    remark: str = ""
    rounds: int = 99  # so many are enough for one that is here for orientation


def find_peers(scratch: Path) -> list[Peer]:
    """gatepost from this checkout in its two installs, and what is installed of the others."""
    python = (sys.executable, "-m", "gatepost")
    unit = unit_environment()
    pure = {**unit, "GATEPOST_TLS": "abi", "PYTHONPATH": str(_pure_copy(scratch))}
    compiled = {**unit, "PYTHONPATH": str(COMPILED)} if (COMPILED / "gatepost").exists() else unit
    said = _say([*python, "-V"], compiled)
    if "(api mode)" in said:
        how = " and compiled modules" if "(compiled modules)" in said else "; no modules could be compiled here"
        peers = [
            _nginx_like("gatepost", python, compiled, remark=f"with the compiled TLS binding{how}; {UNIT_REMARK}"),
            _nginx_like(
                "gatepost, pure", python, pure, remark=f"Python only: an install without compiler; {UNIT_REMARK}"
            ),
        ]
    else:
        peers = [_nginx_like("gatepost", python, unit, remark="Python only: nothing could be compiled here")]
    if os.path.exists(NGINX_MODULE) and _installed("nginx"):
        peers.append(_nginx_like(REFERENCE, (program("nginx"),), load=_LOAD_MODULE))
    if _installed("haproxy"):
        peers.append(_haproxy())
    if _installed("dovecot") and _version(["dovecot", "--version"]).startswith(_DOVECOT_SERIES):
        peers.append(_dovecot())
    return peers


def _nginx_like(
    name: str,
    program: tuple[str, ...],
    environment: Mapping[str, str] | None = None,
    load: str = "",
    remark: str = "",
) -> Peer:
    def command(site: Site) -> tuple[str, ...]:
        path = write_nginx(site, load)
        return (*program, "-c", str(path), "-p", str(site.directory), "-e", str(site.directory / "error.log"))

    return Peer(
        name,
        _say([*program, "-v"]).strip().rpartition("/")[2],
        command,
        environment or {},
        reload=lambda site: write_nginx(site, load, later=True),
        check=("-t",),
        remark=remark,
    )


def _haproxy() -> Peer:
    def command(site: Site) -> tuple[str, ...]:
        # With a master, as Debian's service has it.
        return (program("haproxy"), "-W", "-db", "-f", str(write_haproxy(site)))

    return Peer(
        "HAProxy",
        _say([program("haproxy"), "-v"]).split()[2].partition("-")[0],
        command,
        doors=tuple(door for door in DOORS if door.startswith("imap")),
        reload=lambda site: write_haproxy(site, later=True),
        reload_signal=signal.SIGUSR2,
        check=("-c",),
        rounds=_ORIENTATION_ROUNDS,
        remark="TLS and TCP only: it knows no login, asks nobody, and connects everybody to the same backend",
    )


def _dovecot() -> Peer:
    def command(site: Site) -> tuple[str, ...]:
        return (program("dovecot"), "-F", "-c", str(write_dovecot(site)))

    return Peer(
        "Dovecot",
        _version([program("dovecot"), "--version"]),
        command,
        doors=tuple(door for door in DOORS if not door.startswith("smtp")),
        hosts={"imap-rsa": "127.0.0.2", "pop3-rsa": "127.0.0.2"},
        rounds=_ORIENTATION_ROUNDS,
        remark="its login proxy; the answer of its authentication is fixed, so no service is asked over HTTP",
    )


def _pure_copy(scratch: Path) -> Path:
    """The package without anything that a compiler made, whatever lies beside the sources."""
    source = Path(gatepost.__file__).parent
    target = scratch / "pure"
    shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return target


def _installed(name: str) -> bool:
    try:
        program(name)
    except RuntimeError:
        return False
    return True


def unit_environment() -> dict[str, str]:
    """What the service's unit file sets: gatepost is measured as it runs."""
    lines = (line.partition("Environment=") for line in UNIT.read_text().splitlines())
    return dict(value.split("=", 1) for before, _, value in lines if value and not before)


def _say(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    whole = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=whole, capture_output=True, check=True, timeout=30, text=True)
    return done.stdout + done.stderr


def _version(command: list[str]) -> str:
    return _say([program(command[0]), *command[1:]]).split()[0]
