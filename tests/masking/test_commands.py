"""The secrets in command lines are masked: each row of the tables masks its own example."""

from __future__ import annotations

import random
import string

import pytest

from discord_logging._masking.commands import COMMANDS, PROGRAMS
from discord_logging._masking.masker import SecretMasker

pytestmark = pytest.mark.once

MASKER = SecretMasker()
PASSWORD = "".join(random.Random(17).choices(string.ascii_letters + string.digits, k=20))  # noqa: S311 - it is no secret
EXAMPLES = [row.example for row in (*COMMANDS, *PROGRAMS)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_secret_of_each_example_is_masked(example: str) -> None:
    """The rest of the command line stays as it is."""
    line = f"Running: {example}"
    assert MASKER.mask(line.replace("SECRET", PASSWORD)) == line.replace("SECRET", "***")


@pytest.mark.parametrize("example", [row.example for row in COMMANDS])
def test_the_repr_of_a_list_of_arguments_is_a_command_line(example: str) -> None:
    """`subprocess` shows the command that failed so."""
    shown = repr(example.replace("SECRET", PASSWORD).split(" "))
    assert PASSWORD not in MASKER.mask(f"Command '{shown}' returned non-zero exit status 1.")


@pytest.mark.parametrize(
    "line",
    [
        "mkdir -p /var/lib/shop && ls -a",
        "docker run -p 8080:80 shop",
        "ssh -p 22 host",
        "psql -p 5432 -U shop",
        "mysql -h host -P 3306 shop",
        "tar -xzf a.tar.gz -C /srv",
        "the curl -u option takes a user",
        "echo hello | cat",
        "rsync -a a b",
        "git config --list",
        "zip -r a.zip b",
    ],
)
def test_other_options_stay(line: str) -> None:
    """An option has the meaning that its program gives it."""
    assert MASKER.mask(line) == line


@pytest.mark.parametrize("row", [*COMMANDS, *PROGRAMS], ids=lambda row: row.example)
def test_each_row_names_its_source(row: object) -> None:
    """A reader can look the option up."""
    assert getattr(row, "source", "")
    assert "SECRET" in getattr(row, "example", "")
