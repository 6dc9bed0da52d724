"""As much of systemd's unit files as ours use: sections, comments, repeated assignments."""

from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGING = Path(__file__).parent.parent.parent / "packaging"


class UnitFile:
    """Assignments by section and name, in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: dict[tuple[str, str], list[str]] = {}
        section = ""
        for line in path.read_text().splitlines():
            if not line or line[0] in "#;":
                continue
            if line.startswith("["):
                section = line.strip("[]")
                continue
            name, equals, value = line.partition("=")
            if not (section and equals and name.strip() == name):
                raise ValueError(f"{path.name} has a line that is no assignment: {line}")
            self._values.setdefault((section, name), []).append(value)

    def all(self, section: str, name: str) -> Sequence[str]:
        return self._values.get((section, name), ())

    def one(self, section: str, name: str) -> str:
        """Of a name that must be there once."""
        (value,) = self.all(section, name)
        return value

    def names(self, section: str) -> Iterator[str]:
        return (name for of, name in self._values if of == section)

    def words(self, section: str, name: str) -> Sequence[str]:
        """Of an assignment that is a list."""
        return [word for value in self.all(section, name) for word in value.split()]
