import re

import pytest

from gatepost.tls._decl import FUNCTIONS, OPTIONAL
from gatepost.tls._load import Library

CONSTANTS = re.findall(r"^#define (\w+) (\d+)$", FUNCTIONS, re.MULTILINE)
NAMES = re.findall(r"(\w+)\([^()]*(?:\([^()]*\)\([^()]*\)[^()]*)*\);", FUNCTIONS)


@pytest.mark.parametrize(("name", "value"), CONSTANTS)
def test_constants_are_those_of_the_headers(api_library: Library, name: str, value: str) -> None:
    # The compiled module compares the declared value with the header's when it is asked.
    assert getattr(api_library.lib, name) == int(value)


def test_every_function_is_exported(library: Library) -> None:
    assert len(NAMES) > 60
    for name in NAMES:
        assert callable(getattr(library.lib, name))


def test_optional_functions_are_there_since_their_version(library: Library) -> None:
    for name in OPTIONAL:
        if name == "SSL_CTX_compress_certs":
            assert (library.optional(name) is not None) == (library.number >= 0x30200000)
        elif name.startswith("ENGINE_"):
            assert (library.optional(name) is not None) == (library.number < 0x40000000)
        else:
            raise AssertionError(name)
