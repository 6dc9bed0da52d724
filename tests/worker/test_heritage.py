"""Putting together what workers inherit: all of it, or nothing."""

import os
import socket
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from gatepost.assembly import load
from gatepost.config.build import Configuration, Installation
from gatepost.errors import ConfigError
from gatepost.log import Level, Log, Outputs, Sink
from gatepost.store.runtime import RuntimeDirectory
from gatepost.tls.settings import TlsSettings
from gatepost.worker.heritage import Heritage, Lifeline, make, speaks_tls, tls_contexts


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key in one file."""
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
    path.chmod(0o600)
    return path


def configure(tmp_path: Path, mail: str) -> Configuration:
    path = tmp_path / "gatepost.conf"
    path.write_text(f"mail {{ proxy_pass 127.0.0.1:143; {mail} }}")
    return load(Installation(str(path)))


def log_of(outputs: Outputs, tmp_path: Path) -> Log:
    return outputs.log([Sink(f"{tmp_path}/main.log", Level.INFO)])


def close(heritage: Heritage) -> None:
    for listener in heritage.listeners:
        listener.remove()
    os.close(heritage.lifeline.read_fd)
    os.close(heritage.lifeline.write_fd)


def quiet(_text: str) -> None:
    """Nobody listens."""


def test_the_scoreboard_outlives_reloads_and_each_has_its_number(tmp_path: Path) -> None:
    configuration = configure(tmp_path, f"server {{ listen unix:{tmp_path}/a; protocol imap; }}")
    outputs = Outputs()
    log = log_of(outputs, tmp_path)
    first = make(configuration, outputs, log, quiet)
    second = make(configuration, outputs, log, quiet, previous=first)
    third = make(configuration, outputs, log, quiet, previous=second)
    assert [heritage.generation for heritage in (first, second, third)] == [0, 1, 2]
    assert first.scoreboard is second.scoreboard is third.scoreboard
    close(third)


def test_a_context_only_where_clients_can_come_to_a_handshake(tmp_path: Path, certificate: Path) -> None:
    keys = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    configuration = configure(
        tmp_path,
        f"""{keys}
        server {{ listen unix:{tmp_path}/a; protocol imap; }}
        server {{ listen unix:{tmp_path}/b ssl; protocol imap; }}
        server {{ listen unix:{tmp_path}/c; protocol imap; starttls on; }}
        server {{ listen unix:{tmp_path}/d; protocol imap; starttls only; }}
        server {{ listen unix:{tmp_path}/e; protocol imap; ssl on; }}""",
    )
    assert [speaks_tls(server) for server in configuration.servers] == [False, True, True, True, True]
    assert [context is None for context in tls_contexts(configuration, quiet)] == [True, False, False, False, False]


def test_what_servers_share_is_warned_of_once(tmp_path: Path, certificate: Path) -> None:
    path = tmp_path / "open.pem"
    path.write_bytes(certificate.read_bytes())
    path.chmod(0o644)
    configuration = configure(
        tmp_path,
        f"""ssl_certificate {path}; ssl_certificate_key {path};
        server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}
        server {{ listen unix:{tmp_path}/b ssl; protocol imap; }}""",
    )
    heard: list[str] = []
    assert None not in tls_contexts(configuration, heard.append)
    assert heard == [f'certificate key "{path}" can be read by every user of this machine']


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "engine.conf"
    path.write_text("ssl_engine gatepost_nowhere; mail { }")
    with pytest.raises(ConfigError, match=r'^ENGINE_by_id\("gatepost_nowhere"\) failed \(SSL: error:'):
        tls_contexts(load(Installation(str(path))), quiet)


def test_servers_log_where_they_say_and_else_to_the_main_log(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path,
        f"""server {{ listen unix:{tmp_path}/a; protocol imap; }}
        server {{ listen unix:{tmp_path}/b; protocol imap; error_log {tmp_path}/own.log debug; }}""",
    )
    outputs = Outputs()
    log = log_of(outputs, tmp_path)
    heritage = make(configuration, outputs, log, quiet, RuntimeDirectory())
    assert heritage.logs[0] is log
    heritage.logs[1].write(Level.DEBUG, "mine")
    assert (tmp_path / "own.log").read_text().endswith("mine\n")
    assert (tmp_path / "main.log").read_text() == ""
    close(heritage)


def test_listeners_accept_once_it_is_made(tmp_path: Path) -> None:
    configuration = configure(tmp_path, f"server {{ listen unix:{tmp_path}/a; protocol imap; }}")
    outputs = Outputs()
    heritage = make(configuration, outputs, log_of(outputs, tmp_path), quiet, RuntimeDirectory())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/a")
    close(heritage)
    assert not (tmp_path / "a").exists()


def test_a_log_that_cannot_be_opened_leaves_no_socket(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path, f"server {{ listen unix:{tmp_path}/a; protocol imap; error_log {tmp_path}/none/log; }}"
    )
    outputs = Outputs()
    with pytest.raises(ConfigError, match=r'open\(\) ".*/none/log" failed \(2: No such file or directory\)'):
        make(configuration, outputs, log_of(outputs, tmp_path), quiet, RuntimeDirectory())
    assert not (tmp_path / "a").exists()


def test_an_address_that_cannot_be_bound_closes_the_others(tmp_path: Path) -> None:
    configuration = configure(
        tmp_path,
        f"""server {{ listen unix:{tmp_path}/a; protocol imap; }}
        server {{ listen unix:{tmp_path}/none/b; protocol imap; }}""",
    )
    outputs = Outputs()
    with pytest.raises(ConfigError, match=r"bind\(\) to unix:.*/none/b failed \(2: No such file or directory\) in"):
        make(configuration, outputs, log_of(outputs, tmp_path), quiet, RuntimeDirectory())
    assert not (tmp_path / "a").exists()


def test_the_lifeline_breaks_when_its_last_writing_end_closes() -> None:
    lifeline = Lifeline.make()
    os.set_blocking(lifeline.read_fd, False)
    with pytest.raises(BlockingIOError):
        os.read(lifeline.read_fd, 1)
    lifeline.keep_worker_end()
    assert os.read(lifeline.read_fd, 1) == b""
    os.close(lifeline.read_fd)


def test_zones_have_a_directory_and_only_they(tmp_path: Path, certificate: Path) -> None:
    keys = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};"
    parents = (str(tmp_path),)
    outputs, log = Outputs(), log_of(Outputs(), tmp_path)
    without = configure(tmp_path, f"{keys} server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}")
    runtime = RuntimeDirectory(parents)
    close(make(without, outputs, log, quiet, runtime))
    assert runtime.path is None
    configuration = configure(
        tmp_path,
        f"""{keys} ssl_session_cache shared:SSL:1m;
        server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}
        server {{ listen unix:{tmp_path}/b ssl; protocol pop3; }}""",
    )
    heritage = make(configuration, outputs, log, quiet, runtime)
    close(heritage)
    assert runtime.path is not None
    assert os.listdir(runtime.path) == []  # workers make the files
    heritage.zones.attach(pytest.fail)
    table = heritage.zones.named("SSL", 1 << 20).table
    assert table is not None
    table.put(b"key", b"value", time.time() + 60)
    # The next configuration with the same zone finds what is in it.
    again = make(configuration, outputs, log, quiet, runtime)
    close(again)
    assert sorted(again.zones.files()) == sorted(os.listdir(runtime.path))
    runtime.remove()
    assert list(tmp_path.glob("gatepost-shared-*")) == []


def test_passwords_are_forgotten_once_the_keys_are_open(tmp_path: Path) -> None:
    secret = b"correct horse"
    chain = trustme.CA().issue_cert("localhost")
    key = serialization.load_pem_private_key(chain.private_key_pem.bytes(), None)
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(secret),
    )
    (tmp_path / "key.pem").write_bytes(sealed)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "chain.pem").write_bytes(chain.cert_chain_pems[0].bytes())
    (tmp_path / "passwords").write_bytes(secret + b"\n")
    configuration = configure(
        tmp_path,
        f"""ssl_certificate chain.pem; ssl_certificate_key key.pem; ssl_password_file passwords;
        server {{ listen unix:{tmp_path}/a ssl; protocol imap; }}""",
    )
    passwords = configuration.servers[0][TlsSettings].ssl_password_file
    assert passwords is not None
    assert bytes(next(iter(passwords))) == secret + b"\0"
    assert tls_contexts(configuration, quiet)[0] is not None
    assert bytes(next(iter(passwords))) == bytes(len(secret) + 1)
