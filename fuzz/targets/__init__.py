"""The targets, one file for each."""

import sys
from functools import cache

from fuzz.target import Target
from gatepost import registry


@cache
def targets() -> dict[str, Target]:
    """Every target there is, by name."""
    return {target.name: target for target in registry.collect(sys.modules[__name__], "TARGET", Target)}
