from pathlib import Path

import gatepost.tls
from gatepost.tls.build import abi_text


def test_the_generated_module_is_of_the_present_declarations() -> None:
    """If this fails: python -m gatepost.tls.build --abi"""
    path = Path(gatepost.tls.__path__[0]) / "_abi.py"
    assert path.read_text() == abi_text()
