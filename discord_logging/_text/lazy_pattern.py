"""A regular expression is compiled at its first use, since most programs need few of ours.

The import of the package would compile them all for as long as it takes to import everything else.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

from discord_logging._process.gil import yield_gil


class _LazyPattern:
    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __getattr__(self, name: str) -> Any:
        yield_gil()
        # There is no lock, which a child that is forked meanwhile could not take. Two threads may both compile.
        attribute = getattr(re.compile(*self._arguments), name)
        # Python finds the attribute without this method from now on.
        setattr(self, name, attribute)
        return attribute


def lazy_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` returns, but compile it at its first use.

    A pattern that a logging call itself uses must not be lazy: the caller's thread would wait until it is compiled.
    """
    return cast("re.Pattern[AnyStr]", _LazyPattern(pattern, flags))
