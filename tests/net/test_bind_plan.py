"""Which sockets are bound, and which server a connection belongs to."""

from pathlib import Path

import pytest

from gatepost.config.settings import ListenSettings
from gatepost.net.bind_plan import Bind, plan
from tests.reading import read


def _plan(tmp_path: Path, *servers: str) -> tuple[Bind, ...]:
    text = "mail {" + "".join(f"server {{ {listens} }}" for listens in servers) + "}"
    return plan(read(tmp_path, text, ListenSettings).servers)


def _shown(binds: tuple[Bind, ...]) -> list[str]:
    """``ADDRESS>SERVER`` and, for each guest, ``HOST>SERVER``."""
    return [
        " ".join(
            [
                f"{bind.address}>{bind.fallback.server}",
                *(f"{host}>{route.server}" for host, route in bind.routes.items()),
            ]
        )
        for bind in binds
    ]


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([], []),
        (["listen 1;"], ["0.0.0.0:1>0"]),
        (["listen 127.0.0.1:1;", "listen 127.0.0.2:1;"], ["127.0.0.1:1>0", "127.0.0.2:1>1"]),
        (["listen 127.0.0.1:1;", "listen 1; listen 127.0.0.1:2;"], ["0.0.0.0:1>1 127.0.0.1>0", "127.0.0.1:2>1"]),
        (
            ["listen 1-2;", "listen 10.0.0.1:2;", "listen 10.0.0.2:1-2;"],
            ["0.0.0.0:1>0 10.0.0.2>2", "0.0.0.0:2>0 10.0.0.1>1 10.0.0.2>2"],
        ),
        (["listen 1;", "listen 127.0.0.1:1 bind;"], ["0.0.0.0:1>0", "127.0.0.1:1>1"]),
        (["listen 1 backlog=5;", "listen 127.0.0.1:1;"], ["0.0.0.0:1>0 127.0.0.1>1"]),
        (["listen 1;", "listen [::1]:1;"], ["0.0.0.0:1>0", "[::1]:1>1"]),
        (["listen [::]:1;", "listen [::1]:1;", "listen 1;"], ["[::]:1>0 ::1>1", "0.0.0.0:1>2"]),
        (["listen unix:/a; listen unix:0.0.0.0; listen unix:/b;"], ["unix:/a>0", "unix:0.0.0.0>0", "unix:/b>0"]),
    ],
)
def test_sockets(tmp_path: Path, servers: list[str], expected: list[str]) -> None:
    assert _shown(_plan(tmp_path, *servers)) == expected


def test_the_local_address_picks_the_server(tmp_path: Path) -> None:
    (bind,) = _plan(tmp_path, "listen 1;", "listen 127.0.0.2:1 ssl;")
    assert bind.routes["127.0.0.2"].server == 1
    assert "127.0.0.1" not in bind.routes


def test_encryption_belongs_to_the_address(tmp_path: Path) -> None:
    (bind,) = _plan(tmp_path, "listen 1;", "listen 127.0.0.2:1 ssl;")
    route = bind.routes["127.0.0.2"]
    assert route.listen.ssl
    assert str(route.address) == "127.0.0.2:1"
    assert not bind.fallback.listen.ssl
    assert not bind.listen.ssl


def test_options_are_those_of_the_socket_bound(tmp_path: Path) -> None:
    binds = _plan(tmp_path, "listen 127.0.0.1:1 backlog=7;", "listen 1 backlog=9;")
    assert [(str(bind.address), bind.listen.backlog) for bind in binds] == [("127.0.0.1:1", 7), ("0.0.0.0:1", 9)]
