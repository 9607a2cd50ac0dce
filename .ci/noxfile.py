"""Every check of the project: `nox -f .ci/noxfile.py`. On a bare machine `.ci/run` installs what they need first."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv"
# The tests run on each Python that is there.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

TOP = Path(__file__).parent.parent
PROJECT = nox.project.load_toml(TOP / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
DEFAULT = f"{sys.version_info.major}.{sys.version_info.minor}"
COVERAGE = TOP / ".nox" / "measured"
# Each worker imports all tests, and other sessions may run beside this one.
PYTEST = ("pytest", "-q", "-n", "2", "--dist", "worksteal")
FLOOR = (
    "discord/test_deadline_http.py",
    "discord/test_sender.py",
    "delivery/test_scripted_servers.py",
    "delivery/test_listener.py",
    "cli/test_check.py",
)


@nox.session(python=False)
def readme(session: nox.Session) -> None:
    """Run the README's commands, each in a fresh clone; the second is the one full run of the tests, with coverage."""
    demo, test = re.findall(r"^python3 -m venv \.venv && .*", (TOP / "README.md").read_text("utf-8"), re.MULTILINE)
    shutil.rmtree(COVERAGE, ignore_errors=True)
    measure = {"COVERAGE_PROCESS_START": str(TOP / "pyproject.toml"), "COVERAGE_FILE": str(COVERAGE / ".coverage")}
    for command in (demo, test):
        with tempfile.TemporaryDirectory() as clone, session.chdir(clone):
            session.run("git", "clone", "-q", str(TOP), ".", external=True)
            session.run("bash", "-euo", "pipefail", "-c", f"exec </dev/null; {command}", external=True, env=measure)


@nox.session
def coverage(session: nox.Session) -> None:
    """Report what the tests of `readme` have covered."""
    session.chdir(TOP)
    session.install("coverage>=7.10")
    measured = {"COVERAGE_FILE": str(COVERAGE / ".coverage")}
    session.run("coverage", "combine", "-q", str(COVERAGE), env=measured)
    session.run("coverage", "report", env=measured)


@nox.session
def lint(session: nox.Session) -> None:
    """Run the linter and the type checkers; every public type is known."""
    session.chdir(TOP)
    session.install("-e", ".[test]", "--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "discord_logging", "--ignoreexternal")


@nox.session
def clients(session: nox.Session) -> None:
    """Run clients of others against the local Discord, each in an environment of its own."""
    session.chdir(TOP)
    session.install("-e", ".[test]", "uv")
    session.run(*PYTEST, "-m", "clients", "tests/sandbox/test_clients.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the wheel, without the tests for which one version of Python is enough; arguments go to pytest."""
    if session.python == DEFAULT and not session.posargs:
        session.skip("the README's own command runs all tests on this one")
    session.install(f"{TOP}[test]")
    _test_away_from_checkout(session, *PYTEST, *(session.posargs or ("-m", "not once")))


@nox.session
def floor(session: nox.Session) -> None:
    """Test the wheel with the lowest versions of `requests` and `urllib3` that are allowed."""
    session.install(f"{TOP}[test]")
    lowest = [requirement.replace(">=", "==") for requirement in PROJECT["project"]["dependencies"]]
    session.install("--no-deps", *lowest)
    files = [f"tests/{name}" for name in FLOOR]
    # urllib3 1.26 leaves sockets to the garbage collector.
    _test_away_from_checkout(session, *PYTEST, "-W", "ignore::pytest.PytestUnraisableExceptionWarning", *files)


def _test_away_from_checkout(session: nox.Session, *command: str) -> None:
    """Run tests where the package in the checkout cannot be imported by accident."""
    with tempfile.TemporaryDirectory() as away, session.chdir(away):
        for name in ("tests", "examples", "docs"):
            shutil.copytree(TOP / name, name)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(TOP / name, ".")
        session.run(*command)
