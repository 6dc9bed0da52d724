"""Every dependency has its reason and its hashes, and the bill of materials names what runs."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gatepost.tls._load import library

ROOT = Path(__file__).parent.parent
REASONS = ROOT / "docs" / "why" / "0004-dependencies.md"
LOCKS = ROOT / "requirements"
LIMIT_SECONDS = 60  # for the bill of materials

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
BUILD: list[str] = PYPROJECT["build-system"]["requires"]
PLAIN = "install"  # the lock of an installation without extras


def wanted(lock: str) -> list[Requirement]:
    """What ``lock`` has to hold: what runs, what builds, and what the extra adds, with the extras it names."""
    found = [Requirement(text) for text in [*PYPROJECT["project"]["dependencies"], *BUILD]]
    waiting = [] if lock == PLAIN else [lock]
    while waiting:
        for text in EXTRAS[waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == "gatepost":
                waiting += requirement.extras
            else:
                found.append(requirement)
    return found


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Every package of a lock, with its hashes."""
    text = re.sub(r"^#.*\n", "", (LOCKS / f"{lock}.txt").read_text(), flags=re.MULTILINE)
    words = [entry.split("--hash=") for entry in text.replace("\\\n", " ").splitlines()]
    return [(Requirement(name), [digest.strip() for digest in digests]) for name, *digests in words]


def names(requirements: list[Requirement]) -> set[str]:
    return {str(canonicalize_name(requirement.name)) for requirement in requirements}


def test_each_has_its_reason_and_no_reason_outlives_its_dependency() -> None:
    rows = re.findall(r"^\| ([a-z][a-z0-9-]*) \|(?! who keeps)", REASONS.read_text(), flags=re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == names([requirement for lock in (PLAIN, *EXTRAS) for requirement in wanted(lock)])


def test_there_is_a_lock_for_each_extra() -> None:
    assert {path.name for path in LOCKS.iterdir()} == {f"{lock}.txt" for lock in (PLAIN, *EXTRAS)}


@pytest.mark.parametrize("lock", [PLAIN, *EXTRAS])
def test_a_lock_holds_what_is_wanted_with_hashes_and_no_registry(lock: str) -> None:
    held = entries(lock)
    assert "://" not in (LOCKS / f"{lock}.txt").read_text()
    for requirement, digests in held:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert digests, requirement
        assert [digest for digest in digests if not re.fullmatch("sha256:[0-9a-f]{64}", digest)] == []
    for requirement in wanted(lock):
        versions = [
            next(iter(one.specifier)).version
            for one, _ in held
            if canonicalize_name(one.name) == canonicalize_name(requirement.name)
        ]
        assert any(requirement.specifier.contains(version) for version in versions), (
            f"{requirement} is not in requirements/{lock}.txt: make lock"
        )


def test_a_bill_of_materials_names_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "sbom.json"
    subprocess.run(
        [sys.executable, ROOT / "tools" / "sbom.py", path], check=True, cwd=tmp_path, timeout=LIMIT_SECONDS
    )
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/gatepost@{metadata.version('gatepost')}"
    listed = {component["bom-ref"]: component for component in bill["components"]}
    assert len(listed) == len(bill["components"])
    # What gatepost needs, and what those need in turn; nothing of what only its developers have.
    packages = {ref.removeprefix("pkg:pypi/").split("@")[0] for ref in listed if ref.startswith("pkg:pypi/")}
    direct = names([Requirement(text) for text in PYPROJECT["project"]["dependencies"]])
    assert packages == direct | {"pycparser"}
    (openssl,) = (component for component in bill["components"] if component["name"] == "openssl")
    assert library().version.startswith(f"OpenSSL {openssl['version']} ")
    assert {"libuv", "lmdb", "c-ares", "cpython"} <= {component["name"] for component in bill["components"]}
    # Every edge leads somewhere, and everything is reached from gatepost.
    edges = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    reached, waiting = set(), [bill["metadata"]["component"]["bom-ref"]]
    while waiting:
        reference = waiting.pop()
        if reference not in reached:
            reached.add(reference)
            waiting += edges[reference]
    assert reached == edges.keys() == {*listed, bill["metadata"]["component"]["bom-ref"]}
