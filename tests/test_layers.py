"""Imports point one way, and what is pure touches no socket, clock or thread."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "gatepost"

# Bottom-up: a part imports only from its own line or a line above it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("registry", "address", "compiled", "libc"),
    ("syslog",),
    ("log",),
    ("errors", "session_log"),
    ("config",),
    ("store",),
    ("tls",),
    ("net",),
    ("sasl",),
    ("protocol",),
    ("auth",),
    ("session",),
    ("worker",),
    ("master",),
    ("assembly",),
    ("cli",),
    ("__main__",),
)
RANK = {part: rank for rank, line in enumerate(LAYERS) for part in line}

# Bytes and events in, effects out: none of these has a place there.
PURE = ("protocol", "sasl")
IMPURE = frozenset(
    [
        "_thread",
        "asyncio",
        "cffi",
        "concurrent",
        "fcntl",
        "httptools",
        "multiprocessing",
        "select",
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "uvloop",
    ]
)

# A challenge needs the clock; it is made outside the machines and handed to them as a callable.
ALLOWED = {("protocol/challenge.py", "time")}

MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted absolute name of everything that a module imports, at any depth of its code."""
    package = ("gatepost", *path.parent.parts)
    for node in ast.walk(ast.parse((SOURCE / path).read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, *(node.module or "").split("."))).strip(".")
            # "from gatepost import tls" names the part only in the list.
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def part(dotted: str) -> str | None:
    """``tls`` for ``gatepost.tls.context``; None for other packages and for ``gatepost.__version__``."""
    names = dotted.split(".")
    if names[0] != "gatepost" or len(names) < 2 or names[1] == "__version__":
        return None
    return names[1]


def test_every_part_has_its_layer() -> None:
    parts = {path.parts[0].removesuffix(".py") for path in MODULES}
    assert parts - RANK.keys() == set()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_downwards(path: Path) -> None:
    own = path.parts[0].removesuffix(".py")
    upwards = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path)
        if (target := part(name)) is not None and RANK[target] > RANK[own]
    ]
    assert upwards == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] in PURE], ids=str)
def test_pure_parts_do_no_io(path: Path) -> None:
    impure = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] in IMPURE and (str(path), name) not in ALLOWED
    ]
    assert impure == []
