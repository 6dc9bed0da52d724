"""What is said, and where, when a configuration is tested or cannot be served."""

import os
from pathlib import Path

import pytest

from gatepost.cli.options import Options
from gatepost.cli.use import use
from gatepost.config.build import Installation


def _write(directory: Path, text: str) -> Path:
    path = directory / "gatepost.conf"
    path.write_text(text)
    return path


def _use(options: Options, path: Path, log: str = "stderr") -> int:
    return use(options, Installation(str(path), f"{path.parent}/", log))


def test_a_good_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {} pid pid;")
    assert _use(Options(test=True), path) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"gatepost: the configuration file {path} syntax is ok\n"
        f"gatepost: configuration file {path} test is successful\n"
    )


def test_quietly(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {} pid pid; pcre_jit on;")
    assert _use(Options(test=True, quiet=True), path) == 0
    warning = 'the "pcre_jit" directive is ignored: no regular expressions are matched'
    assert capfd.readouterr().err == f"gatepost: [warn] {warning} in {path}:1\n"


def test_a_dump(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {} pid pid;")
    assert _use(Options(dump=True, quiet=True), path) == 0
    captured = capfd.readouterr()
    assert captured.out == f"# configuration file {path}:\nevents {{}} pid pid;\n"
    assert captured.err == ""


def test_a_dump_of_many_files_is_as_nginx_shows_it(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each once, under the name by which it was included, in the order of reading; bytes as they are."""
    (tmp_path / "conf.d").mkdir()
    includes = ("conf.d/*.conf", "twice", "twice", "./twice", "conf.d/../twice", "nothing*.conf")
    main = "pid pid;\n" + "".join(f"include {name};\n" for name in includes) + "events {} # no line break"
    path = _write(tmp_path, main)
    (tmp_path / "conf.d" / "b.conf").write_bytes(b"include inner;\n# caf\xe9\n")
    (tmp_path / "conf.d" / "a.conf").write_bytes(b"include inner;")
    (tmp_path / "conf.d" / "empty.conf").write_bytes(b"")
    (tmp_path / "inner").write_bytes(b"# inner\n")
    (tmp_path / "twice").write_bytes(b"# twice\r\n")
    assert _use(Options(dump=True, directives="worker_processes 2;"), path) == 0
    expected = b"".join(
        b"# configuration file %b/%b:\n%b\n" % (os.fsencode(tmp_path), name, text)
        for name, text in (
            (b"gatepost.conf", main.encode()),
            (b"conf.d/a.conf", b"include inner;"),
            (b"inner", b"# inner\n"),
            (b"conf.d/b.conf", b"include inner;\n# caf\xe9\n"),
            (b"conf.d/empty.conf", b""),
            (b"twice", b"# twice\r\n"),
            (b"./twice", b"# twice\r\n"),
            (b"conf.d/../twice", b"# twice\r\n"),
        )
    )
    captured = capfdbinary.readouterr()
    assert captured.out == expected
    assert captured.err.endswith(b"test is successful\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo;", 'unknown directive "foo" in PATH:1'),
        ("\nmail { server { } }", 'no "listen" is defined for server in PATH:2'),
        (
            "mail {\nserver { listen 993 ssl; proxy_pass h; } }",
            'no "ssl_certificate" is defined for the "listen ... ssl" directive in PATH:2',
        ),
    ],
)
def test_a_bad_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, message: str) -> None:
    path = _write(tmp_path, text.replace("proxy_pass h", "proxy_pass 127.0.0.1"))
    log = tmp_path / "log"
    assert _use(Options(test=True, dump=True, quiet=True), path, str(log)) == 1
    captured = capfd.readouterr()
    message = message.replace("PATH", str(path))
    assert captured.out == ""
    assert captured.err == f"gatepost: [emerg] {message}\ngatepost: configuration file {path} test failed\n"
    assert log.read_text().endswith(f" [emerg] {os.getpid()}#0: {message}\n")


def test_what_fails_after_the_syntax(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {} pid pid; error_log no/log;")
    assert _use(Options(test=True), path) == 1
    assert capfd.readouterr().err == (
        f"gatepost: the configuration file {path} syntax is ok\n"
        f'gatepost: [emerg] open() "{tmp_path}/no/log" failed (2: No such file or directory) in {path}:1\n'
        f"gatepost: configuration file {path} test failed\n"
    )


def test_a_first_log_that_cannot_be_opened_is_an_alert(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {} pid pid; error_log stderr;")
    assert _use(Options(test=True, quiet=True), path, f"{tmp_path}/no/log") == 0
    assert capfd.readouterr().err == (
        "gatepost: [alert] could not open error log file: "
        f'open() "{tmp_path}/no/log" failed (2: No such file or directory)\n'
    )


def test_directives_of_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {}")
    assert _use(Options(test=True, directives="pid pid"), path) == 1
    assert 'unexpected end of parameter, expecting ";" in command line' in capfd.readouterr().err
    assert _use(Options(test=True, directives="pid pid;"), path) == 0


def test_a_signal_needs_a_good_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "pid none;")
    assert _use(Options(signal="stop"), path) == 1
    assert f'[error] open() "{tmp_path}/none" failed' in capfd.readouterr().err
    assert _use(Options(signal="stop"), _write(tmp_path, "foo;")) == 1
    assert capfd.readouterr().err == f'gatepost: [emerg] unknown directive "foo" in {path}:1\n'


def test_a_test_signals_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "events {} pid pid;")
    (tmp_path / "pid").write_text("0")  # would be refused
    assert _use(Options(test=True, signal="stop"), path) == 0
    assert capfd.readouterr().err.endswith("test is successful\n")


def test_what_cannot_start_says_why_at_the_terminal_and_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "pid pid; error_log log; pcre_jit on; events { worker_connections 1; } mail { proxy_pass 127.0.0.1;\n"
    path = _write(tmp_path, text + "server { listen 143; } }")
    assert _use(Options(), path) == 1
    message = "1 worker_connections are not enough for 1 listening sockets"
    assert capfd.readouterr().err == f"gatepost: [emerg] {message}\n"
    assert (tmp_path / "log").read_text().endswith(f": {message}\n")


def test_what_cannot_be_read_does_not_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, "pcre_jit on;\nfoo;")
    assert _use(Options(), path) == 1
    warning, error = capfd.readouterr().err.splitlines()
    assert warning.startswith("gatepost: [warn]")
    assert error == f'gatepost: [emerg] unknown directive "foo" in {path}:2'
