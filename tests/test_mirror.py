"""Each module of src/gatepost has its test file at the mirrored place, and each test file its module."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "gatepost"
TESTS = ROOT / "tests"

# Tests of the tree as a whole; and places where everything is about more than one module.
OF_THE_TREE = {
    Path("test_dependencies.py"),
    Path("test_layers.py"),
    Path("test_mirror.py"),
    Path("test_transcript.py"),
}
OF_THE_DAEMON = {"faults", "functional", "fuzz", "packaging", "security"}


def modules() -> set[Path]:
    """Paths below src/gatepost that must have a test: every module whose name does not begin with ``_``.

    What begins with ``_`` (``__init__``, ``__main__``, the declarations and the loader of the TLS library) is an
    inner part of a neighbour, tested through it or by a test file of its own.
    """
    found = (path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
    return {path for path in found if not path.name.startswith("_")}


def files_of_tests() -> set[Path]:
    found = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {path for path in found if path.parts[0] not in OF_THE_DAEMON} - OF_THE_TREE


def test_every_module_has_its_test_file() -> None:
    wanted = {path.with_name(f"test_{path.name}") for path in modules()}
    assert modules()
    assert sorted(map(str, wanted - files_of_tests())) == []


def test_every_test_file_has_its_module() -> None:
    def tested(path: Path) -> bool:
        name = path.name.removeprefix("test_")
        if (TESTS / path).with_name(name).is_file():
            return True  # a helper of the tests, such as the player of transcripts, has its test beside it
        # Where there is much to test, ``test_relay_ends.py`` holds one concern of ``relay.py``.
        whole = name.rpartition("_")[0] + ".py"
        return any((SOURCE / path.with_name(candidate)).is_file() for candidate in (name, f"_{name}", whole))

    assert sorted(str(path) for path in files_of_tests() if not tested(path)) == []


def test_every_package_of_tests_says_what_it_holds() -> None:
    silent = [path for path in TESTS.rglob("__init__.py") if not path.read_text().startswith('"""')]
    missing = {path.parent for path in TESTS.rglob("test_*.py") if not (path.parent / "__init__.py").is_file()}
    assert silent == []
    assert sorted(map(str, missing)) == []
