"""Adds the compiled form of the TLS binding where it can be built; everything else is in pyproject.toml.

Without a C compiler or OpenSSL's headers the installation goes on without it: the other form does the same.
``GATEPOST_TLS=abi`` leaves it out, which gives a wheel for every platform.
"""

import os
import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent / "src"))

from gatepost.tls.build import api_builder


def extensions() -> list[object]:
    if os.environ.get("GATEPOST_TLS") == "abi":
        return []
    os.makedirs("build/cffi", exist_ok=True)
    return [api_builder().distutils_extension("build/cffi")]


setup(ext_modules=extensions())
