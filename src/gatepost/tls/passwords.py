"""Passwords of private keys, from a file, kept where they can be wiped."""

import os
from collections.abc import Iterator, Sequence

from gatepost.errors import ConfigError

MAX_LINE_BYTES = 4096  # with its line end; nginx's limit
MAX_PASSWORDS = 1024  # each is tried against each encrypted key, which is slow on purpose


class Passwords:
    """Some passwords, each as a bytearray that ends in NUL, so that the library can take it as it is.

    Python's ``bytes`` cannot be overwritten; these can, and ``wipe`` does it.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Sequence[bytearray]) -> None:
        self._secrets = tuple(secrets)

    def __iter__(self) -> Iterator[bytearray]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<{len(self)} passwords>"

    def wipe(self) -> None:
        """Overwrite all of them with NUL."""
        for secret in self._secrets:
            secret[:] = bytes(len(secret))


def read_passwords(path: str) -> Passwords:
    """Read a file, or a pipe up to its end: one password per line, LF or CR LF, no trimming, blank lines ignored.

    A file without any gives one empty password. Raises ConfigError.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _failed("open", path, error) from error
    secrets: list[bytearray] = []
    buffer = bytearray(MAX_LINE_BYTES)
    view = memoryview(buffer)
    filled = 0
    try:
        while True:
            try:
                got = os.readv(fd, [view[filled:]])
            except OSError as error:
                raise _failed("read", path, error) from error
            filled += got
            start = 0
            while (end := buffer.find(b"\n", start, filled)) >= 0:
                _keep(secrets, view[start:end], path)
                start = end + 1
            if not got:
                _keep(secrets, view[start:filled], path)
                break
            if start == 0 and filled == MAX_LINE_BYTES:
                raise ConfigError(f'too long line in "{path}"')
            view[: filled - start] = view[start:filled]
            filled -= start
    finally:
        view[:] = bytes(MAX_LINE_BYTES)
        os.close(fd)
    return Passwords(secrets or [bytearray(1)])


def _keep(secrets: list[bytearray], line: memoryview, path: str) -> None:
    size = len(line)
    if size and line[-1] == 0x0D:
        size -= 1
    if not size:
        return
    if len(secrets) == MAX_PASSWORDS:
        raise ConfigError(f'more than {MAX_PASSWORDS} passwords in "{path}"')
    secret = bytearray(size + 1)
    secret[:size] = line[:size]
    if secret.find(0, 0, size) >= 0:
        raise ConfigError(f'password with a NUL byte in "{path}"')
    secrets.append(secret)


def _failed(call: str, path: str, error: OSError) -> ConfigError:
    return ConfigError(f'{call}() "{path}" failed ({error.errno}: {error.strerror})')
