"""Runs a program in what a service's unit file allows, as far as that goes without systemd as process 1.

``python -m tests.functional.sandbox UNIT COMMAND...`` puts into force, then executes the command:
CapabilityBoundingSet (for root), NoNewPrivileges, LimitNOFILE, LimitCORE, UMask, SystemCallFilter,
SystemCallErrorNumber, RestrictAddressFamilies and MemoryDenyWriteExecute, all filters with the library and rules
that systemd uses. What needs mounts or control groups is not here.
"""

import ctypes
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.packaging.unit_file import UnitFile

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_GREATER_EQUAL, _EQUAL, _MASKED_EQUAL = 5, 4, 7
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_CAPBSET_READ = 38, 24, 23
_PROT_WRITE, _PROT_EXEC, _SHM_EXEC = 2, 4, 0o100000
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
_MANY_FAMILIES = 64  # the kernel knows fewer
CAPABILITIES = {  # of linux/capability.h, those that our units give
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_BIND_SERVICE": 10,
}


class _Condition(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_uint),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class _Filter:
    """One filter of libseccomp."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))
        assert self._context

    def rule(self, action: int, name: str, *conditions: tuple[int, int, int, int]) -> None:
        """Names that this machine does not have are passed over, as systemd does."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (_Condition * max(1, len(conditions)))(*(_Condition(*condition) for condition in conditions))
        done = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(conditions), array
        )
        assert done in (0, -errno.EACCES), (name, done)  # EACCES: it is the default action anyway

    def load(self) -> None:
        assert self._library.seccomp_load(self._context) == 0


def expand(names: Iterable[str]) -> set[str]:
    """System calls, with those of the groups (``@system-service``) in place of the groups."""
    calls: set[str] = set()
    for name in names:
        if name.startswith("@"):
            told = subprocess.run(
                ["systemd-analyze", "--no-pager", "syscall-filter", name],
                capture_output=True,
                text=True,
                check=True,
            )
            inner = [line.strip() for line in told.stdout.splitlines()[1:]]
            calls |= expand(line for line in inner if line and not line.startswith("#"))
        else:
            calls.add(name)
    return calls


def allowed(unit: UnitFile) -> set[str]:
    """The system calls that ``SystemCallFilter`` leaves: a list of those allowed, then lists of exceptions."""
    calls: set[str] = set()
    for value in unit.all("Service", "SystemCallFilter"):
        if value.startswith("~"):
            calls -= expand(value[1:].split())
        else:
            calls |= expand(value.split())
    return calls | expand(["@default"])


def _prctl(option: int, argument: int) -> int:
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0))


def _limit(kind: int, wanted: int) -> None:
    """As systemd does: who may not raise the hard limit gets as much as there is."""
    hard = resource.getrlimit(kind)[1]
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (wanted, wanted))


def enter(unit: UnitFile) -> None:
    """Put the unit's limits into force for this process and its children, for good."""
    os.umask(int(unit.one("Service", "UMask"), 8))
    _limit(resource.RLIMIT_NOFILE, int(unit.one("Service", "LimitNOFILE")))
    _limit(resource.RLIMIT_CORE, int(unit.one("Service", "LimitCORE")))
    calls = allowed(unit)
    if os.geteuid() == 0:
        kept = {CAPABILITIES[word] for word in unit.words("Service", "CapabilityBoundingSet")}
        number = 0
        while (known := _prctl(_PR_CAPBSET_READ, number)) >= 0:
            assert not known or number in kept or _prctl(_PR_CAPBSET_DROP, number) == 0, number
            number += 1
    assert _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0
    denied = _ERRNO | getattr(errno, unit.one("Service", "SystemCallErrorNumber"))

    families = {_FAMILIES[word] for word in unit.words("Service", "RestrictAddressFamilies")}
    sockets = _Filter(_ALLOW)
    for family in set(range(_MANY_FAMILIES)) - families:
        sockets.rule(_ERRNO | errno.EAFNOSUPPORT, "socket", (0, _EQUAL, family, 0))
    sockets.rule(_ERRNO | errno.EAFNOSUPPORT, "socket", (0, _GREATER_EQUAL, _MANY_FAMILIES, 0))

    memory = _Filter(_ALLOW)
    if unit.one("Service", "MemoryDenyWriteExecute") == "yes":
        both = _PROT_WRITE | _PROT_EXEC
        memory.rule(_ERRNO | errno.EPERM, "mmap", (2, _MASKED_EQUAL, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            memory.rule(_ERRNO | errno.EPERM, name, (2, _MASKED_EQUAL, _PROT_EXEC, _PROT_EXEC))
        memory.rule(_ERRNO | errno.EPERM, "shmat", (2, _MASKED_EQUAL, _SHM_EXEC, _SHM_EXEC))

    calls_filter = _Filter(denied)
    # What systemd always leaves, and what loads the filters.
    for name in sorted(calls | {"execve", "seccomp", "prctl"}):
        calls_filter.rule(_ALLOW, name)
    for each in (sockets, memory, calls_filter):
        each.load()


def main(arguments: Sequence[str]) -> None:
    unit, *command = arguments
    enter(UnitFile(Path(unit)))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
