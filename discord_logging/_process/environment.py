"""A variable of the environment, and a setting in a file, may be a word for yes or no."""

from __future__ import annotations

YES = frozenset({"true", "yes", "on", "1", "y", "t"})
NO = frozenset({"false", "no", "off", "0", "n", "f"})
