"""A TLS client that asks for new keys whenever told to, which Python's own cannot: the same OpenSSL, by ctypes."""

import ctypes
import socket
from pathlib import Path

_UPDATE_REQUESTED = 1
_CTRL_MODE, _PARTIAL_WRITES, _MOVING_BUFFER = 33, 1, 2


def _loaded() -> ctypes.CDLL:
    """The libssl that this process uses already."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    library = ctypes.CDLL(next(line.split()[-1] for line in lines if "libssl" in line))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


class KeyUpdater:
    """Owns ``sock``. No call waits: False or ``b""`` says that it would have to."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._lib = lib = _loaded()
        self._context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        self._ssl = ctypes.c_void_p(lib.SSL_new(self._context))
        lib.SSL_set_fd(self._ssl, sock.fileno())
        lib.SSL_set_connect_state(self._ssl)
        lib.SSL_ctrl(self._ssl, _CTRL_MODE, ctypes.c_long(_PARTIAL_WRITES | _MOVING_BUFFER), None)

    def handshake(self) -> bool:
        return bool(self._lib.SSL_do_handshake(self._ssl) == 1)

    def ask_for_new_keys(self) -> bool:
        """Send a KeyUpdate; the server has to answer with its own."""
        assert self._lib.SSL_key_update(self._ssl, _UPDATE_REQUESTED) == 1
        return self.handshake()

    def write(self, data: bytes) -> bool:
        return bool(self._lib.SSL_write(self._ssl, data, len(data)) == len(data))

    def read(self) -> bytes:
        buffer = ctypes.create_string_buffer(65536)
        count = self._lib.SSL_read(self._ssl, buffer, len(buffer))
        return buffer.raw[:count] if count > 0 else b""

    def close(self) -> None:
        self._lib.SSL_free(self._ssl)
        self._lib.SSL_CTX_free(self._context)
        self.socket.close()
