"""SASL (RFC 4422), the server's side. One file per mechanism; its presence registers it. Pure: no I/O, no clock."""

import sys
from functools import cache

from gatepost import registry

from .mechanism import Mechanism


@cache
def mechanisms() -> tuple[Mechanism, ...]:
    """Every mechanism there is, in the order in which protocols advertise them."""
    return tuple(
        sorted(
            registry.collect(sys.modules[__name__], "MECHANISM", Mechanism), key=lambda mechanism: mechanism.rank
        )
    )
