"""Figures as a Markdown table."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _run import Outcome

NOTHING = "-"


@dataclass(frozen=True)
class Figure:
    """One figure, with the function that reads it from the outcome of a case."""

    name: str
    show: Callable[[Outcome], str]
    bar: str = ""

    def cell(self, outcome: Outcome) -> str:
        """Return the figure, or the reason why it is missing."""
        if outcome.failure:
            return outcome.failure
        with contextlib.suppress(LookupError, TypeError, ZeroDivisionError):
            return self.show(outcome)
        return NOTHING if outcome.ended else "killed"


@dataclass
class Table:
    """The table of a group; each row has the name of a figure, a text for each contender, and the target.

    The columns are the contenders of the run, if the table has no others. Failures are told below the table, and make
    the exit status of the run 1.
    """

    title: str
    rows: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    columns: Sequence[str] = ()

    def add(self, outcomes: Mapping[str, Outcome], figures: Iterable[Figure], prefix: str = "") -> None:
        """Add a row for each figure."""
        for figure in figures:
            cells = {name: figure.cell(outcome) for name, outcome in outcomes.items()}
            self.rows.append((prefix + figure.name, cells, figure.bar))

    def markdown(self, names: Iterable[str]) -> str:
        """Return the table of a run with the contenders `names`."""
        head = ["figure", *(self.columns or names), "bar"]
        body = [[figure, *(cells.get(name, NOTHING) for name in head[1:-1]), bar] for figure, cells, bar in self.rows]
        lines = [head, ["---"] * len(head), *body]
        rows = ["| " + " | ".join(line) + " |" for line in lines]
        return "\n".join([f"### {self.title}", "", *rows, "", *(f"FAILED {each}" for each in self.failures)])
