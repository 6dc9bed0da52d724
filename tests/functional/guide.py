"""What the guides in docs/ show: configurations and commands by chapter, and a daemon that runs one of them."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .gateway import Gateway, command
from .ports import claim_port
from .process import Process
from .waiting import LIMIT_SECONDS, wait_until

TLS_GUIDE = Path(__file__).parent.parent.parent / "docs" / "tls.md"
SHOWN_DIRECTORY = "/etc/gatepost"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LISTEN = re.compile(r"\blisten +(\d+)\b")


@dataclass(frozen=True, slots=True)
class Chapter:
    """``configuration`` is the one whole file that the chapter shows, ``scripts`` its shell commands in order."""

    title: str
    configuration: str
    scripts: tuple[str, ...]


def read_guide(path: Path) -> tuple[Chapter, ...]:
    """The chapters with a configuration. One with two of them, or a block of another kind, is an error."""
    chapters = []
    for part in re.split(r"^## ", path.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        configurations: list[str] = []
        scripts: list[str] = []
        for language, block in _BLOCK.findall(text):
            {"nginx": configurations, "sh": scripts}[language].append(block)
        if configurations:
            (configuration,) = configurations
            chapters.append(Chapter(title, configuration, tuple(scripts)))
    return tuple(chapters)


def chapter(title: str) -> Chapter:
    """The chapter of the TLS guide with that title. Raises ValueError when there is not exactly one."""
    (found,) = (one for one in read_guide(TLS_GUIDE) if one.title == title)
    return found


def shell(directory: Path, script: str, env: dict[str, str] | None = None) -> str:
    """Run a script of a guide, its files in ``directory``; what it printed. A failing command raises."""
    script = script.replace(SHOWN_DIRECTORY, str(directory))
    done = subprocess.run(
        ["sh", "-euc", script],
        capture_output=True,
        check=False,
        timeout=LIMIT_SECONDS,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Edge(Gateway):
    """A daemon that runs a configuration as it is shown, but for paths, addresses and ports.

    ``/etc/gatepost`` becomes ``directory``; ``listen 993`` a claimed port of 127.0.0.1, which is ``at[993]``. What
    the text leaves to defaults and a test cannot (pid file, log, foreground) is put in front of it.
    """

    def __init__(self, directory: Path, configuration: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.successors = set()
        self.at = {int(number): claim_port() for number in _LISTEN.findall(configuration)}
        self.ports = tuple(self.at.values())
        self.port = self.ports[0]
        text = configuration.replace(SHOWN_DIRECTORY, str(directory))
        text = _LISTEN.sub(lambda found: f"listen 127.0.0.1:{self.at[int(found[1])]}", text)
        front = f"daemon off; pid {directory}/gatepost.pid; error_log {directory}/error.log info;\n"
        (directory / "gatepost.conf").write_text(front + text)
        self.process = Process(command(directory), directory / "output", {**os.environ, **(env or {})})
        try:
            wait_until(self._started, "the daemon to write its pid file")
            wait_until(lambda: self.workers, "its workers")
        except BaseException:
            if self.process.status is None:
                self.process.stop()
            raise
