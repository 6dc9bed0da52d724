import os
import threading
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.tls.passwords import MAX_LINE_BYTES, MAX_PASSWORDS, Passwords, read_passwords


def passwords_of(directory: Path, content: bytes) -> list[bytes]:
    path = directory / "passwords"
    path.write_bytes(content)
    return [bytes(secret) for secret in read_passwords(str(path))]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"one\ntwo\n", [b"one\0", b"two\0"]),
        (b"one\r\ntwo\r\n", [b"one\0", b"two\0"]),
        (b"one\n\n\r\ntwo", [b"one\0", b"two\0"]),
        (b" one \n", [b" one \0"]),
        (b"", [b"\0"]),
        (b"\n\n", [b"\0"]),
        (b"\xff\x01\n", [b"\xff\x01\0"]),
    ],
)
def test_one_password_per_line(tmp_path: Path, content: bytes, expected: list[bytes]) -> None:
    assert passwords_of(tmp_path, content) == expected


def test_a_file_of_several_buffers_is_read_whole(tmp_path: Path) -> None:
    lines = [bytes([97 + number % 26]) * 997 for number in range(50)]
    assert passwords_of(tmp_path, b"\n".join(lines)) == [line + b"\0" for line in lines]


def test_the_longest_line(tmp_path: Path) -> None:
    longest = b"x" * (MAX_LINE_BYTES - 1)
    assert passwords_of(tmp_path, b"a\n" + longest + b"\nb") == [b"a\0", longest + b"\0", b"b\0"]


def test_a_line_that_fills_the_buffer_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'^too long line in ".*/passwords"$'):
        passwords_of(tmp_path, b"a\n" + b"x" * MAX_LINE_BYTES + b"\n")


def test_too_many_passwords(tmp_path: Path) -> None:
    assert len(passwords_of(tmp_path, b"x\n" * MAX_PASSWORDS)) == MAX_PASSWORDS
    with pytest.raises(ConfigError, match=rf'^more than {MAX_PASSWORDS} passwords in ".*/passwords"$'):
        passwords_of(tmp_path, b"x\n" * (MAX_PASSWORDS + 1))


def test_a_nul_cannot_be_part_of_a_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'^password with a NUL byte in ".*/passwords"$'):
        passwords_of(tmp_path, b"a\0b\n")


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing:
        read_passwords(f"{tmp_path}/none")
    assert str(missing.value) == f'open() "{tmp_path}/none" failed (2: No such file or directory)'
    with pytest.raises(ConfigError) as directory:
        read_passwords(str(tmp_path))
    assert str(directory.value) == f'read() "{tmp_path}" failed (21: Is a directory)'


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)

    def feed() -> None:
        with open(path, "wb", buffering=0) as pipe:
            pipe.write(b"one\ntw")
            pipe.write(b"o\n")

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    assert [bytes(secret) for secret in read_passwords(path)] == [b"one\0", b"two\0"]
    writer.join(5)
    assert not writer.is_alive()


def test_wiped_and_never_shown() -> None:
    secrets = [bytearray(b"secret\0"), bytearray(b"other\0")]
    passwords = Passwords(secrets)
    assert repr(passwords) == "<2 passwords>"
    passwords.wipe()
    assert secrets == [bytearray(7), bytearray(6)]
