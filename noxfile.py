"""What CI runs, on every Python that is here: ``nox``. Interpreters that are missing are passed over."""

import nox

nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "tests", "compiled"]

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def install(session: nox.Session, extra: str) -> None:
    """gatepost and ``extra``, in the versions and with the hashes of requirements/."""
    session.install("--require-hashes", "--requirement", f"requirements/{extra}.txt")
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests. Arguments behind ``--`` go to pytest."""
    install(session, "dev")
    # 1: no compiler or no headers; the tests then use the binding that needs none.
    session.run("python", "-m", "gatepost.tls.build", success_codes=[0, 1])
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def compiled(session: nox.Session) -> None:
    """What looks at gatepost from outside, against an install with compiled modules."""
    install(session, "dev")
    target = session.create_tmp()
    build = ("--no-deps", "--no-build-isolation", "--target", target)
    session.install(*build, ".", env={"GATEPOST_COMPILE": "1"})
    session.run("pytest", "tests/functional", "tests/faults", "tests/security", env={"PYTHONPATH": target})


@nox.session(python=PYTHONS)
def demo(session: nox.Session) -> None:
    """The demo, checking itself."""
    install(session, "demo")
    session.run("python", "demo/run.py", "--check")


@nox.session
def lint(session: nox.Session) -> None:
    """Formatter, linter, types."""
    install(session, "dev")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("mypy")
