"""Whether a configuration would start: logs, the pid file, sockets, connections."""

import os
import resource
import socket
from pathlib import Path

import pytest

from gatepost.assembly import load
from gatepost.cli import check
from gatepost.config.build import Configuration, Installation
from gatepost.errors import ConfigError


def _configuration(directory: Path, listens: str = "", main: str = "", server: str = "") -> Configuration:
    path = directory / "gatepost.conf"
    pid = "" if "pid " in main else f"pid {directory}/pid;"
    servers = f"server {{ protocol imap; {listens} {server} }}" if listens else ""
    path.write_text(f"{pid} {main}\nmail {{ proxy_pass 127.0.0.1:143;\n{servers} }}")
    return load(Installation(str(path), f"{directory}/"))


def _mistake(configuration: Configuration) -> str:
    with pytest.raises(ConfigError) as caught:
        check.try_resources(configuration)
    return str(caught.value)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    check.try_resources(_configuration(tmp_path, f"listen 127.0.0.1:1-2; listen unix:{tmp_path}/s;"))
    assert sorted(os.listdir(tmp_path)) == ["gatepost.conf"]


def test_logs_are_opened(tmp_path: Path) -> None:
    found = _configuration(tmp_path, "listen unix:s;", "error_log main.log;", "error_log server.log;")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        check.try_resources(found)
    assert sorted(os.listdir(tmp_path)) == ["gatepost.conf", "main.log", "server.log"]


def test_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    reason = "failed (2: No such file or directory)"
    assert (
        _mistake(_configuration(tmp_path, main="error_log no/log;"))
        == f'open() "{tmp_path}/no/log" {reason} in {tmp_path}/gatepost.conf:1'
    )
    found = _configuration(tmp_path, "listen 1;", server="error_log nil/log;")
    assert _mistake(found) == f'open() "{tmp_path}/nil/log" {reason} in {tmp_path}/gatepost.conf:3'


def test_a_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    found = _configuration(tmp_path, main="pid no/pid;")
    assert _mistake(found) == f'open() "{tmp_path}/no/pid" failed (2: No such file or directory)'
    found = _configuration(tmp_path, main="pid .;")
    assert _mistake(found) == f'open() "{tmp_path}/." failed (21: Is a directory)'


def test_an_address_in_use_is_no_mistake(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s"))
        port = taken.getsockname()[1]
        check.try_resources(_configuration(tmp_path, f"listen 127.0.0.1:{port}; listen unix:{tmp_path}/s;"))
    assert (tmp_path / "s").is_socket()


def test_an_address_that_cannot_be_bound(tmp_path: Path) -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    text = _mistake(_configuration(tmp_path, "listen 192.0.2.1:143;"))
    assert text == (
        f"bind() to 192.0.2.1:143 failed (99: Cannot assign requested address) in {tmp_path}/gatepost.conf:3"
    )
    text = _mistake(_configuration(tmp_path, f"listen unix:{tmp_path}/no/s;"))
    assert f"bind() to unix:{tmp_path}/no/s failed (2: No such file or directory)" in text


def test_both_families_of_a_wildcard(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check.try_resources(_configuration(tmp_path, f"listen {port}; listen [::]:{port};"))


@pytest.mark.parametrize(("listens", "limit", "enough"), [("listen 1-3;", 4, True), ("listen 1-3;", 3, False)])
def test_connections(tmp_path: Path, listens: str, limit: int, enough: bool) -> None:
    found = _configuration(tmp_path, listens, f"events {{ worker_connections {limit}; }}")
    if enough:
        check.enough_connections(found)
        return
    with pytest.raises(ConfigError, match="3 worker_connections are not enough for 3 listening sockets"):
        check.enough_connections(found)


def test_more_connections_than_open_files_are_a_warning_in_nginxs_words(tmp_path: Path) -> None:
    def heard(main: str, connections: int) -> list[str]:
        path = tmp_path / "gatepost.conf"
        events = f"events {{ worker_connections {connections}; }}"
        path.write_text(f"{main} {events} mail {{ proxy_pass 127.0.0.1:143; server {{ listen 143; }} }}")
        return check.enough_connections(load(Installation(str(path))))

    text = "1000 worker_connections exceed open file resource limit: 999"
    assert heard("worker_rlimit_nofile 999;", 1000) == [text]
    assert heard("worker_rlimit_nofile 1000;", 1000) == []
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        assert heard("", soft + 1) == [f"{soft + 1} worker_connections exceed open file resource limit: {soft}"]


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "pid a;", "http { }"])
def test_a_file_that_is_empty_is_a_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gatepost.conf"
    path.write_text(text)
    with pytest.raises(ConfigError, match='no "events" section in configuration'):
        check.is_whole(load(Installation(str(path), f"{tmp_path}/")))


@pytest.mark.parametrize("text", ["events { }", "mail { }", "events { } http { }"])
def test_a_file_may_serve_nothing_if_it_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gatepost.conf"
    path.write_text(text)
    check.is_whole(load(Installation(str(path), f"{tmp_path}/")))


def test_certificates_are_loaded_only_where_they_are_needed(tmp_path: Path) -> None:
    files = "ssl_certificate no.pem; ssl_certificate_key no.key;"
    heard: list[str] = []
    check.load_certificates(_configuration(tmp_path, "listen 1;", server=files), heard.append)
    for need in ("starttls on;", "starttls only;", "listen 2 ssl;"):
        with pytest.raises(ConfigError, match=f'cannot load certificate "{tmp_path}/no.pem"'):
            check.load_certificates(_configuration(tmp_path, "listen 1;", server=files + need), heard.append)
    assert heard == []


def test_the_dump_is_what_was_read(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "one.conf").write_bytes(b"# \xff\n")
    found = _configuration(tmp_path, main="include one.conf; include one.conf;")
    check.dump(found)
    main = (tmp_path / "gatepost.conf").read_bytes()
    directory = os.fsencode(tmp_path)
    assert capfdbinary.readouterr().out == (
        b"# configuration file " + directory + b"/gatepost.conf:\n" + main + b"\n"
        b"# configuration file " + directory + b"/one.conf:\n# \xff\n\n"
    )  # fmt: skip
