"""sbom.py FILE: writes a bill of materials of the gatepost that is installed beside this Python.

The form is CycloneDX 1.6, in JSON. It lists what runs: gatepost, the packages it needs in the versions that are
installed, the C libraries that lie inside those packages and say their version, Python, and the OpenSSL that
gatepost opens here, which is the system's. With the same installation it is the same file, but for the time and the
serial number that the format asks for.
"""

import importlib
import json
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from typing import TypeAlias

import lmdb
import pycares

from gatepost.tls._load import library

Component: TypeAlias = dict[str, object]

# The name of a requirement, and its condition: "cffi>=2; python_version >= '3.14'".
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;(.*))?")


def canonical(name: str) -> str:
    """The form in which an index knows a package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needs(name: str) -> list[str]:
    """Packages that the installed ``name`` needs here. What belongs to an extra is not needed."""
    found = set()
    for text in metadata.requires(name) or ():
        match = _REQUIREMENT.match(text)
        assert match is not None, text
        needed, condition = canonical(match[1]), match[2] or ""
        if "extra ==" in condition:
            continue
        try:
            metadata.distribution(needed)
        except metadata.PackageNotFoundError:
            # Conditions are not computed: what is not installed cannot run. Without a condition it has to be there.
            if not condition:
                raise
            continue
        found.add(needed)
    return sorted(found)


def closure(name: str) -> dict[str, list[str]]:
    """``name`` and all that it needs, each with what it needs itself."""
    found: dict[str, list[str]] = {}
    waiting = [name]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found[package] = needs(package)
            waiting += found[package]
    return dict(sorted(found.items()))


def component(kind: str, name: str, version: str, reference: str, licence: str = "") -> Component:
    made: Component = {"type": kind, "bom-ref": reference, "name": name, "version": version, "purl": reference}
    if licence:
        made["licenses"] = [{"expression": licence}]
    return made


def package(name: str) -> Component:
    """A Python package; its licence where it gives one as an SPDX expression (PEP 639)."""
    version = metadata.version(name)
    licence = "".join(metadata.metadata(name).get_all("License-Expression") or ())
    return component("library", name, version, f"pkg:pypi/{name}@{version}", licence)


def inside() -> Iterator[tuple[str, Component]]:
    """C libraries within packages, as (package, library). llhttp in httptools does not say its version."""
    uv = importlib.import_module("uvloop.loop").libuv_get_version()  # its types do not know it
    for holder, name, version in (
        ("uvloop", "libuv", f"{uv >> 16}.{uv >> 8 & 255}.{uv & 255}"),
        ("lmdb", "lmdb", ".".join(map(str, lmdb.version()))),
        ("pycares", "c-ares", pycares.ARES_VERSION),
    ):
        yield holder, component("library", name, version, f"pkg:generic/{name}@{version}")


def openssl() -> Component:
    """The OpenSSL of this process. The version is upstream's: what a distribution has mended does not show."""
    number = library().number
    version = f"{number >> 28}.{number >> 20 & 255}.{number >> 4 & 255}"
    return component("library", "openssl", version, f"pkg:generic/openssl@{version}", "Apache-2.0")


def bill() -> dict[str, object]:
    """The whole document. Raises PackageNotFoundError if something that gatepost needs is not installed."""
    packages = closure("gatepost")
    described = {name: package(name) for name in packages}
    references = {name: str(made["bom-ref"]) for name, made in described.items()}
    depends = {references[name]: [references[other] for other in needed] for name, needed in packages.items()}
    components = [made for name, made in described.items() if name != "gatepost"]
    python = platform.python_version()
    for holder, made in (
        *inside(),
        ("gatepost", openssl()),
        ("gatepost", component("platform", "cpython", python, f"pkg:generic/cpython@{python}", "PSF-2.0")),
    ):
        components.append(made)
        depends[references[holder]].append(str(made["bom-ref"]))
        depends[str(made["bom-ref"])] = []
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**described["gatepost"], "type": "application"},
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(depends.items())],
    }


def main(arguments: list[str]) -> int:
    (path,) = arguments
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(bill(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
