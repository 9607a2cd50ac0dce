"""This module takes the local variables of the program's own frames on the caller's thread, if the user asks for them.

All of them become bounded copies at once, since objects may change or die after the call. A `__repr__` of the user's
own cannot be interrupted; once the time is over, no further one is called.
"""

from __future__ import annotations

import contextlib
import time
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from discord_logging._process.gil import yield_gil_between
from discord_logging._records.libraries import is_surely_library
from discord_logging._records.values import UnquotedText, freeze_value, literal_line, value_size
from discord_logging._text.markdown import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

    from discord_logging._masking.masker import SecretMasker
    from discord_logging._records.settings import CardSettings
    from discord_logging._records.values import Frozen

_MAX_FRAMES = 10
"""The largest number of frames of a record whose variables are taken, the last ones."""
_MAX_VARIABLES = 20
"""The largest number of variables of a frame."""
_MAX_SIZE = 50_000
"""The size of all variables of a record from which on no other is taken, in characters."""
_MAX_SECONDS = 0.05
"""The time for a record after which no other variable is taken."""
_CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, partial)
"""The types whose values belong to the code, and not to the data."""

variable_filters: list[Callable[[FrameType, Mapping[str, Any]], Mapping[str, Any]]] = []
"""Functions of integrations: each returns the variables of a frame without the secrets that its framework knows of."""


class FrameVariables:
    """The local variables of frames of one traceback, as they were when they were taken.

    Attributes:
        values: The variables by the index of the frame, unmasked.
        size: The estimated memory of the values, in bytes.
        shown: The names and texts of the variables, without secrets, by the index of the frame.
    """

    def __init__(self, values: Mapping[int, dict[str, Frozen]], masker: SecretMasker) -> None:
        self.values = values
        self._masker = masker
        self.size: int = sum(map(value_size, values.values()))

    @cached_property
    def shown(self) -> Mapping[int, tuple[tuple[str, str], ...]]:
        return {
            index: tuple((name, self._show(name, value)) for name, value in yield_gil_between(variables.items()))
            for index, variables in self.values.items()
        }

    def _show(self, name: str, value: Frozen) -> str:
        masked = self._masker.mask_value(name, value)
        return str(masked) if type(value) is UnquotedText else literal_line(masked)


class VariableTaker:
    """Takes the local variables of the tracebacks of one record, as long as there is room and time."""

    def __init__(self, settings: CardSettings) -> None:
        self._own_packages = settings.own_packages
        self._masker = settings.masker
        self._room = _MAX_SIZE
        self._ends_at = time.perf_counter() + _MAX_SECONDS
        self._seen: set[int] = set()

    def take(self, tb: TracebackType | None, number: int) -> FrameVariables | None:
        """Return the variables of the program's own frames among the first `number` of a traceback."""
        frames: list[FrameType] = []
        while tb is not None and len(frames) < number:
            frames.append(tb.tb_frame)
            tb = tb.tb_next
        taken: dict[int, dict[str, Frozen]] = {}
        for index in range(len(frames) - 1, -1, -1):
            frame = frames[index]
            if len(self._seen) == _MAX_FRAMES:
                break
            if id(frame) in self._seen or is_surely_library(frame.f_code.co_filename, self._own_packages):
                continue
            # Of a module, only the statement that failed is of interest, not all the calls that led away from it.
            if taken and frame.f_locals is frame.f_globals:
                continue
            self._seen.add(id(frame))
            with contextlib.suppress(Exception):  # the user's class may have a namespace of any kind
                shown: Mapping[str, Any] = frame.f_locals
                for each in variable_filters:
                    shown = each(frame, shown)
                if variables := self._freeze(shown):
                    taken[index] = variables
        return FrameVariables(taken, self._masker) if taken else None

    def _freeze(self, variables: Mapping[str, Any]) -> dict[str, Frozen]:
        # Another thread may change the variables of a module meanwhile.
        named = [(name, value) for name, value in list(variables.items()) if _is_data(name, value)]
        frozen: dict[str, Frozen] = {}
        for name, value in named[:_MAX_VARIABLES]:
            if self._room <= 0 or time.perf_counter() > self._ends_at:
                break
            # In a list, a text is cut too, and keeps its quotes.
            copy = freeze_value([value])
            frozen[name] = copy[0] if isinstance(copy, list) else UnquotedText(copy)
            self._room -= len(name) + value_size(frozen[name])
        if left_out := len(named) - len(frozen):
            frozen[ELLIPSIS] = UnquotedText(f"{left_out:,} more")
        return frozen


def _is_data(name: str, value: object) -> bool:
    # A comprehension has a variable `.0`.
    is_special = not name.isidentifier() or (name.startswith("__") and name.endswith("__"))
    return not is_special and not issubclass(type(value), _CODE)
