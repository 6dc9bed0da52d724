"""``python -m gatepost.cli.documents [DIRECTORY]`` writes the generated documents below a checkout of the sources.

Each says itself that it is generated. A test fails when one of them is not what would be written now.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from gatepost import __version__
from gatepost.assembly import groups
from gatepost.config.manpage import conf_page
from gatepost.config.reference import markdown, sections

from .manpage import command_page

_PROGRAM = f"gatepost {__version__}"


def documents() -> Mapping[str, str]:
    """Path below the top of the sources -> text."""
    found = sections(groups())
    return {
        "docs/reference.md": markdown(found),
        "man/gatepost.8": command_page(_PROGRAM),
        "man/gatepost.conf.5": conf_page(found, _PROGRAM),
    }


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    (top,) = arguments or (".",)
    for name, text in documents().items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
