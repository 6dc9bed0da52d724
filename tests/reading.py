"""Reads a configuration from text, for tests of settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.config.build import Configuration, Installation, build
from gatepost.config.parser import Parser
from gatepost.errors import ConfigError


def read(
    directory: Path,
    text: str,
    *groups: type,
    directives: str = "",
    warn: Callable[[str], object] = str,
) -> Configuration:
    """The configuration that ``text`` describes, in the language of ``groups``.

    It is ``gatepost.conf`` in ``directory``, the prefix is ``/prefix``; ``directives`` are those of ``-g``.
    Raises ConfigError.
    """
    path = directory / "gatepost.conf"
    path.write_text(text)
    parser = Parser(str(directory))
    parser.add_file(str(path))
    if directives:
        parser.add_directives(directives)
    return build(parser, groups, installation=Installation(str(path), "/prefix"), warn=warn)


def mistake(directory: Path, text: str, *groups: type, directives: str = "") -> str:
    """The error that ``text`` makes; the path of the file is left out, so that it ends in `` in :LINE``."""
    with pytest.raises(ConfigError) as caught:
        read(directory, text, *groups, directives=directives)
    return str(caught.value).replace(str(directory / "gatepost.conf"), "")
