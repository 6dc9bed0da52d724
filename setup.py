"""Adds what a compiler makes of gatepost; everything else is in pyproject.toml.

The TLS binding is compiled where that can be done. Without a C compiler or OpenSSL's headers the installation goes
on without it: the other form does the same. ``GATEPOST_TLS=abi`` leaves it out, which gives a wheel for every
platform.

``GATEPOST_COMPILE=1`` also compiles the modules that every login runs through (docs/why/0016-compiled-modules.md).
That needs mypy, takes two minutes, and ends in an error where it cannot be done.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent / "src"))

from gatepost.compiled import modules
from gatepost.tls.build import api_builder

# What an earlier build has left would go into this one: the modules of an older version, compiled.
for stale in Path("build").glob("lib*"):
    shutil.rmtree(stale)


def extensions() -> list[Any]:
    found: list[Any] = []
    if os.environ.get("GATEPOST_TLS") != "abi":
        os.makedirs("build/cffi", exist_ok=True)
        found.append(api_builder().distutils_extension("build/cffi"))
    if os.environ.get("GATEPOST_COMPILE") == "1":
        if "editable_wheel" in sys.argv:
            raise SystemExit("gatepost: not beside sources that somebody edits; make compiled has a place for them")
        found += compiled()
    return found


def compiled() -> list[Any]:
    from mypyc.build import mypycify

    # Types are checked by ``make lint``, with the stubs of what we use; here they only have to be understood.
    return mypycify(
        ["--ignore-missing-imports", *map(str, modules(Path("src/gatepost")))],
        opt_level="2",
        group_name="gatepost_compiled",
        target_dir="build/mypyc",
    )


setup(ext_modules=extensions())
