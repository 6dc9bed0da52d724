"""What ``-V`` tells."""

import platform

from gatepost.cli.about import lines


def test_what_it_runs_on() -> None:
    python, tls, libraries = lines()
    assert python.endswith(platform.python_version())
    assert "OpenSSL" in tls
    assert "cffi/" in libraries
    assert "missing" not in libraries
