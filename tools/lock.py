"""lock.py [--upgrade]: writes requirements/*.txt, the versions and hashes of all that tools/make-venv installs.

One file for the plain installation and one for each extra, each for every Python from 3.11 and every platform at
once (``uv pip compile --universal``). Without ``--upgrade``, versions that still fit stay as they are.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "install"  # the file for gatepost without extras


def main(options: list[str]) -> int:
    """Write all files. Raises CalledProcessError if uv fails; it has said why."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    # What builds gatepost itself is locked, too: it is then built from what is installed, without a registry.
    build = "\n".join(project["build-system"]["requires"])
    for name in (PLAIN, *project["project"]["optional-dependencies"]):
        command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-emit-index-url"]
        command += ["--custom-compile-command", "make lock", "--output-file", f"requirements/{name}.txt"]
        command += [] if name == PLAIN else ["--extra", name]
        subprocess.run([*command, *options, "pyproject.toml", "-"], cwd=ROOT, input=build, text=True, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
