"""What is compiled, and that it keeps from what the compiler understands otherwise than Python."""

import ast
from pathlib import Path

import pytest

import gatepost
from gatepost.compiled import PATTERNS, modules

PACKAGE = Path(gatepost.__file__).parent


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_name_for_one_kind_of_exception(path: Path) -> None:
    """In a coroutine the compiler gives a name one type: the second kind of error would not fit the first."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            kinds: dict[str, str] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and node.name:
                    kind = ast.unparse(node.type) if node.type else ""
                    assert kinds.setdefault(node.name, kind) == kind, f"{function.name}: {node.name}"


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_constant_is_known_by_its_identity(path: Path) -> None:
    """A constant that is a number or a tuple is no object there, so never the same one; a member of an enum is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and any(isinstance(how, ast.Is | ast.IsNot) for how in node.ops):
            for side in (node.left, *node.comparators):
                if isinstance(side, ast.Subscript):
                    side = side.value
                assert not (isinstance(side, ast.Name) and side.id.isupper()), f"line {node.lineno}"
                if isinstance(side, ast.Attribute) and side.attr.isupper() and isinstance(side.value, ast.Name):
                    # ``socket.AF_UNIX`` and ``Phase.READING``; a module of ours would have a constant there.
                    assert side.value.id == "socket" or side.value.id[0].isupper(), f"line {node.lineno}"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_names_a_module(pattern: str) -> None:
    assert list(PACKAGE.glob(pattern))
