"""A virtual environment for each peer, because some have modules with the same names as others, or as this package."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTALL_SECONDS = 300


class UnavailableError(Exception):
    """A peer cannot be installed. The text has the reason."""


def default_directory() -> Path:
    """Return the default directory for environments, one for each user and version of Python."""
    version = "{}.{}".format(*sys.version_info)
    return Path(tempfile.gettempdir()) / f"discord-logging-benchmarks-{os.getuid()}-{version}"


def prepare(requirements: Mapping[str, str], directory: Path) -> dict[str, str | UnavailableError]:
    """Make missing environments, and return the interpreter of each contender, or the reason why it has none."""
    return {name: _find_python(requirement, directory / name) for name, requirement in requirements.items()}


def _find_python(requirement: str, home: Path) -> str | UnavailableError:
    if not requirement:
        return sys.executable
    python, stamp = home / "bin" / "python", home / "complete"
    if not stamp.exists():
        sys.stderr.write(f"installing {requirement} into {home}\n")
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _run(sys.executable, "-m", "venv", "--clear", str(home))
            _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement)
        except UnavailableError as error:
            return error
        stamp.touch()
    return str(python)


def clean_environ() -> dict[str, str]:
    """Return the environment variables without those that affect imports or the webhook."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DISCORD_"))}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS, env=clean_environ()
        )
    except subprocess.CalledProcessError as error:
        raise UnavailableError(last_line(error.stderr)) from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"not installed within {_INSTALL_SECONDS} s") from None


def last_line(text: str) -> str:
    """Return the last line of an output that is neither blank nor a notice, for a cell of a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("[notice]")]
    return lines[-1].replace("|", "/")[:100] if lines else "no reason given"
