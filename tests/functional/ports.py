"""Free loopback ports that nobody else takes between being chosen and being bound.

Asking the kernel for port 0 and closing the socket again is a race when many tests start servers. So a port is
*claimed*: the claim is a bound socket in the abstract unix namespace, which all processes of the machine share and
which disappears with its holder, however that ends. Ports come from below the range that the kernel gives to
outgoing connections, so that no client takes one either.
"""

import os
import random
import socket

_LOWEST = 10_000
_claims: list[socket.socket] = []
_random = random.SystemRandom()  # pytest-randomly seeds the shared generator alike in all processes


def _highest() -> int:
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    return first - 1 if first > _LOWEST + 5000 else 32_000


def claim_ports_in_a_row(count: int) -> tuple[int, ...]:
    """As ``claim_port``, for ``count`` ports that follow one another."""
    for _ in range(1000):
        first = claim_port()
        following = tuple(_claim(port) for port in range(first + 1, first + count))
        if all(following):
            return tuple(range(first, first + count))
    raise OSError(f"no {count} free ports in a row")


def claim_port() -> int:
    """A port of 127.0.0.1 that belongs to this process until it ends. Raises OSError when none is left."""
    highest = _highest()
    for _ in range(1000):
        port = _random.randint(_LOWEST, highest)
        if _claim(port):
            return port
    raise OSError(f"no free port between {_LOWEST} and {highest} (process {os.getpid()})")


def _claim(port: int) -> bool:
    """Whether ``port`` is now ours."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0gatepost-port-{port}")
    except OSError:
        claim.close()
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            return False
    _claims.append(claim)
    return True
