"""SASL (RFC 4422), the server's side. One file per mechanism; its presence registers it. Pure: no I/O, no clock."""

from functools import cache

from .mechanism import Mechanism


@cache
def mechanisms() -> tuple[Mechanism, ...]:
    """Every mechanism there is, in the order in which protocols advertise them."""
    from .. import registry, sasl

    return tuple(sorted(registry.collect(sasl, "MECHANISM", Mechanism), key=lambda mechanism: mechanism.rank))
