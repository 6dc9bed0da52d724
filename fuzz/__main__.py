"""``python -m fuzz [--seconds N] [TARGET ...]``: fuzz one target after the other, all if none is named.

What is found lies in ``build/fuzz/TARGET``: new inputs in ``corpus``, and in ``crash-*``, ``timeout-*`` or
``oom-*`` the input that broke something; the exit status is then 1. ``--keep`` takes what such runs have found over
into the committed corpus, and writes its beginnings where there is none.
"""

import argparse
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

WORK = Path("build/fuzz")
ONE_INPUT_SECONDS = 20  # an input that takes longer is a finding; the slowest of the corpus takes some milliseconds
MEMORY_MB = 2048  # a process that needs more is a finding
SPARE_SECONDS = 120  # beside the time given: loading the corpus, and the last input


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz what parses bytes from outside.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="one or more; all if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--keep", action="store_true", help="take what was found over into fuzz/corpus")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        _fuzz(options.targets[0], options.seconds)
    if options.keep:
        return _keep(options.targets)
    if importlib.util.find_spec("atheris") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"gatepost: atheris is not installed for this Python ({version}).", file=sys.stderr)
        print("It is a package for CPython on Linux:  pip install --only-binary atheris atheris", file=sys.stderr)
        return 2
    from fuzz.targets import targets

    unknown = sorted(set(options.targets) - targets().keys())
    if unknown:
        print(f"gatepost: no such target: {' '.join(unknown)}; there are: {' '.join(targets())}", file=sys.stderr)
        return 2
    broken = [name for name in options.targets or targets() if not _run(name, options.seconds)]
    for name in broken:
        print(f"gatepost: {name} is broken, see {WORK / name}", file=sys.stderr)
    return 1 if broken else 0


def _run(name: str, seconds: int) -> bool:
    """In a process of its own: atheris instruments what it imports, and ends the process."""
    command = [sys.executable, "-m", "fuzz", "--inside", "--seconds", str(seconds), name]
    print(f"--- {name}, {seconds} s", flush=True)
    return subprocess.run(command, check=False, timeout=seconds + SPARE_SECONDS).returncode == 0


def _fuzz(name: str, seconds: int) -> None:
    # Not an import statement: it is not there where nobody fuzzes, and has no types where it is.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["gatepost"]):
        from fuzz.targets import targets

        target = targets()[name]
    from fuzz.target import CORPUS

    work = WORK / name
    found = work / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    dictionary = work / "dictionary"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={target.max_bytes}",
        f"-timeout={ONE_INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-dict={dictionary}",
        f"-artifact_prefix={work}/",
        "-print_final_stats=1",
        str(found),
        str(CORPUS / name),
    ]
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _keep(names: list[str]) -> int:
    from fuzz.corpus import distil, replace
    from fuzz.targets import targets

    for name in names or targets():
        target = targets()[name]
        candidates = [*target.seeds()]
        for directory in (WORK / name / "corpus", Path("fuzz/corpus") / name):
            if directory.is_dir():
                candidates += [path.read_bytes() for path in directory.iterdir()]
        kept = distil(target, candidates)
        replace(target, kept)
        print(f"{name}: {len(kept)} of {len(candidates)} inputs, {sum(map(len, kept))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
