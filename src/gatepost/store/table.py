"""The interface of shared tables. Nothing above it knows which engine is behind it.

Keys are 1 to ``MAX_KEY_BYTES`` bytes, values up to ``MAX_VALUE_BYTES``; ``expires`` is a time of ``time.time()``,
the clock that all processes of a machine share. A table has two parts:

* entries, which make room for newer ones when the table is full: oldest out, in the order they were put; a look-up
  does not make an entry younger;
* ``keep``: a few values that must not make room, such as the keys that encrypt session tickets.

Values may be secrets: an engine keeps them where only the workers' user can read them, and never puts them, or
keys, into an error or a repr.
"""

from typing import Protocol

MAX_KEY_BYTES = 64  # a session id has 32, an IPv6 address with a purpose before it less than 64
MAX_VALUE_BYTES = 8192  # a session with a chain of client certificates; what is bigger is not worth sharing
MAX_KEPT = 64  # values kept in one table: three ticket keys for each of twenty timeouts


class StoreError(Exception):
    """The table cannot be used now, or has no room. The message names neither keys nor values."""


class Table(Protocol):
    """A table that several processes use at once. Every method may raise StoreError."""

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``; None if there is none, or it has expired. Never waits for a writer."""

    def put(self, key: bytes, value: bytes, expires: float) -> None:
        """Set the value of ``key``, as the youngest entry. The oldest entries go if there is no room."""

    def increment(self, key: bytes, by: int, expires: float) -> int:
        """Add ``by`` to the number at ``key`` and give the sum, which saturates at 64 bits with sign.

        A number that is not there, or has expired, begins at 0 and gets ``expires``; later calls do not change it.
        """

    def remove(self, key: bytes) -> None:
        """Forget ``key``, if it is there."""

    def keep(self, key: bytes, value: bytes, expires: float) -> bytes:
        """The kept value of ``key``: the one that is there and has not expired, else ``value`` from now on.

        Of several processes that call it at once all get the same. At most ``MAX_KEPT`` values are kept; then the
        one that would expire first goes.
        """

    def kept(self, key: bytes) -> bytes | None:
        """The kept value of ``key``, if it has one that has not expired."""
