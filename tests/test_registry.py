"""Collecting the objects that the modules of a package offer."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gatepost import registry

Package = Callable[..., ModuleType]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Makes a package of modules with the given sources."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, **modules: str) -> ModuleType:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OFFER = 'not a module of the package'\n")
        for module, source in modules.items():
            (tmp_path / name / f"{module}.py").write_text(source)
            monkeypatch.delitem(sys.modules, f"{name}.{module}", raising=False)
        return importlib.import_module(name)

    return make


def test_collects_by_name_of_the_module(package: Package) -> None:
    modules = {"second": "OFFER = 'b'", "first": "OFFER = 'a'", "third": "OFFER = 'c'"}
    assert registry.collect(package("registry_some", **modules), "OFFER", str) == ("a", "b", "c")


def test_passes_over_modules_that_offer_nothing(package: Package) -> None:
    assert registry.collect(package("registry_none", plain="x = 1"), "OFFER", str) == ()


def test_an_object_of_another_kind_is_a_bug(package: Package) -> None:
    with pytest.raises(TypeError, match=r"^registry_odd\.wrong\.OFFER is not a str$"):
        registry.collect(package("registry_odd", wrong="OFFER = 1"), "OFFER", str)


def test_a_module_that_does_not_load_is_not_hidden(package: Package) -> None:
    with pytest.raises(ZeroDivisionError):
        registry.collect(package("registry_broken", broken="OFFER = 1 / 0"), "OFFER", str)
