"""A configuration that cannot work is refused at start, with the file and the line to edit."""

import subprocess
from pathlib import Path

import pytest

from .certificates import Certificates, make_certificates
from .gateway import command, write_configuration
from .ports import claim_port
from .waiting import LIMIT_SECONDS

SERVER = f"""
    %s
    server {{
        listen 127.0.0.1:{claim_port()} ssl;
        protocol imap;
        %s
    }}
"""


def check(directory: Path, mail: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """``-t`` on a configuration with this ``mail`` block."""
    write_configuration(directory, mail)
    return run(directory, "-t", *arguments)


def run(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(directory, *arguments), capture_output=True, check=False, timeout=LIMIT_SECONDS, text=True
    )


def line_of(directory: Path, words: str) -> int:
    """The number of the only line of the configuration that contains ``words``."""
    lines = (directory / "gatepost.conf").read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if words in line)
    return number


def test_a_good_one(tmp_path: Path, certificates: Certificates) -> None:
    done = check(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", certificates.directives("rsa", "ecdsa")))
    path = tmp_path / "gatepost.conf"
    assert done.returncode == 0, done.stderr
    assert f"the configuration file {path} syntax is ok\n" in done.stderr
    assert f"configuration file {path} test is successful\n" in done.stderr


@pytest.mark.parametrize(
    ("server", "words", "message"),
    [
        ("timout 5s;", "timout 5s;", 'unknown directive "timout"'),
        ("timeout;", "timeout;", 'invalid number of arguments in "timeout" directive'),
        ("timeout 5q;", "timeout 5q;", '"timeout" directive invalid value'),
        ("starttls maybe;", "starttls maybe;", 'invalid value "maybe"'),
        ("worker_processes 1 ;", "worker_processes 1 ;", '"worker_processes" directive is not allowed here'),
        ("timeout 5s; timeout 6s;", "timeout 6s;", '"timeout" directive is duplicate'),
        (
            "listen 127.0.0.1:99999;",
            "127.0.0.1:99999",
            'invalid port in "127.0.0.1:99999" of the "listen" directive',
        ),
        ("include no-such-file;", "no-such-file", 'open() "{}/no-such-file" failed (2: No such file or directory)'),
    ],
)
def test_a_bad_line(tmp_path: Path, server: str, words: str, message: str) -> None:
    done = check(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", server))
    path = tmp_path / "gatepost.conf"
    assert done.returncode == 1
    assert f"[emerg] {message.format(tmp_path)} in {path}:{line_of(tmp_path, words)}\n" in done.stderr
    assert f"configuration file {path} test failed\n" in done.stderr


def test_neither_auth_http_nor_proxy_pass(tmp_path: Path, certificates: Certificates) -> None:
    done = check(tmp_path, SERVER % ("", certificates.directives("rsa")))
    assert done.returncode == 1
    assert f"in {tmp_path}/gatepost.conf:{line_of(tmp_path, 'server {')}\n" in done.stderr
    assert '"auth_http"' in done.stderr


def test_both_auth_http_and_proxy_pass(tmp_path: Path, certificates: Certificates) -> None:
    both = "auth_http 127.0.0.1:9; proxy_pass 127.0.0.1:143;"
    done = check(tmp_path, SERVER % (both, certificates.directives("rsa")))
    assert done.returncode == 1
    assert '"auth_http"' in done.stderr
    assert '"proxy_pass"' in done.stderr
    assert f"in {tmp_path}/gatepost.conf:" in done.stderr


def test_no_certificate(tmp_path: Path) -> None:
    done = check(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", ""))
    where = f"{tmp_path}/gatepost.conf:{line_of(tmp_path, 'listen')}"
    assert done.returncode == 1
    assert f'no "ssl_certificate" is defined for the "listen ... ssl" directive in {where}\n' in done.stderr


def test_a_missing_key_names_both_files(tmp_path: Path, certificates: Certificates) -> None:
    wrong = f"ssl_certificate {certificates.rsa}; ssl_certificate_key missing.key;"
    done = check(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", wrong))
    assert done.returncode == 1
    assert f'cannot load certificate key "{tmp_path}/missing.key"' in done.stderr
    assert str(certificates.rsa) in done.stderr


def test_a_key_of_another_certificate_names_both_files(tmp_path: Path, certificates: Certificates) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificates(tmp_path / "other").rsa.with_suffix(".key")
    wrong = f"ssl_certificate {certificates.rsa}; ssl_certificate_key {other};"
    done = check(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", wrong))
    assert done.returncode == 1
    assert f'SSL_CTX_use_PrivateKey("{other}") failed' in done.stderr
    assert str(certificates.rsa) in done.stderr


def test_starting_says_the_same_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_configuration(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", ""))
    done = run(tmp_path)
    assert done.returncode == 1
    assert 'no "ssl_certificate" is defined' in done.stderr
    assert not (tmp_path / "gatepost.pid").exists()


def test_a_whole_nginx_conf_is_taken_as_it_is(tmp_path: Path, certificates: Certificates) -> None:
    write_configuration(tmp_path, SERVER % ("auth_http 127.0.0.1:9;", certificates.directives("rsa")))
    path = tmp_path / "gatepost.conf"
    web = """
        worker_rlimit_nofile 4096;
        pcre_jit on;
        http {
            include mime.types;
            server { listen 80; location ~ \\.php$ { fastcgi_pass unix:/run/php.sock; } }
        }
        stream { server { listen 53 udp; proxy_pass 127.0.0.1:5353; } }
    """
    path.write_text(path.read_text() + web)
    done = run(tmp_path, "-t")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "[warn]" in line]
    assert len([line for line in warnings if "http" in line]) == 1
    assert len([line for line in warnings if "stream" in line]) == 1
    assert f"{path}:" in done.stderr
