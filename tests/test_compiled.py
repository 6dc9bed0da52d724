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
    """A constant that is a number or a tuple is no object there, and so never the same one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            for how, other in zip(node.ops, node.comparators, strict=True):
                if isinstance(how, ast.Is | ast.IsNot) and isinstance(other, ast.Name):
                    assert not other.id.isupper(), f"line {node.lineno}"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_names_a_module(pattern: str) -> None:
    assert list(PACKAGE.glob(pattern))
