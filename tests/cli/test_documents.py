"""The documents in the sources are those that the directives and options give."""

import subprocess
from pathlib import Path

import pytest

from gatepost.cli.documents import documents, main
from tests.functional.process import program
from tests.functional.waiting import LIMIT_SECONDS

TOP = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", documents())
def test_none_is_stale(name: str) -> None:
    path = TOP / name
    assert path.exists(), f'"make docs" writes {name}'
    assert path.read_text(encoding="utf-8") == documents()[name], f'{name} is stale: "make docs" writes it anew'


@pytest.mark.parametrize("name", documents())
def test_each_says_that_it_is_generated(name: str) -> None:
    assert "Generated" in documents()[name].splitlines()[0]


def test_writing_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"wrote {tmp_path}/{name}" for name in documents()]
    for name, text in documents().items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", [name for name in documents() if name.startswith("man/")])
@pytest.mark.parametrize(
    "command", [("groff", "-Tutf8", "-mandoc", "-ww"), ("mandoc", "-Tlint")], ids=lambda it: it[0]
)
def test_formatters_of_manual_pages_have_no_objection(command: tuple[str, ...], name: str, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_text(documents()[name], encoding="utf-8")
    done = subprocess.run(
        [program(command[0]), *command[1:], str(path)],
        capture_output=True,
        check=False,
        timeout=LIMIT_SECONDS,
        text=True,
    )
    said = done.stdout if command[0] == "mandoc" else done.stderr
    assert said == ""
