"""Tracing is switched off for our requests, whatever state the tools are in."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging._discord.untraced import untraced

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = ("opentelemetry", "sentry_sdk")


@pytest.fixture(autouse=True)
def _without_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in TOOLS:
            monkeypatch.delitem(sys.modules, name)


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


class Switch:
    """A tool's context manager that notes when it is entered and left."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @contextlib.contextmanager
    def suppress(self) -> Iterator[None]:
        """Note the beginning and the end of the silence."""
        self.events.append("off")
        try:
            yield
        finally:
            self.events.append("on")


def test_without_a_tool_nothing_is_imported() -> None:
    """The modules stay the same."""
    before = set(sys.modules)
    with untraced():
        pass
    assert set(sys.modules) == before


def test_tracing_is_off_within_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is set back after an error, too, which it does not see."""
    switch = Switch()
    put_module(monkeypatch, "opentelemetry.instrumentation.utils", suppress_instrumentation=switch.suppress)
    with untraced():
        assert switch.events == ["off"]
    with pytest.raises(OSError, match="refused"), untraced():
        raise OSError("refused")
    assert switch.events == ["off", "on"] * 2


def test_sentry_1_gets_a_hub_without_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to version 1, an integration asks the present hub."""
    switch = Switch()
    put_module(monkeypatch, "sentry_sdk.scope", Scope=object)
    put_module(monkeypatch, "sentry_sdk.hub", Hub=switch.suppress)
    with untraced():
        assert switch.events == ["off"]
    assert switch.events == ["off", "on"]


@contextlib.contextmanager
def broken(step: str) -> Iterator[None]:
    """Fail at a step."""
    if step == "enter":
        raise RuntimeError("not set up")
    yield
    raise ValueError("left in another context")


@pytest.mark.parametrize(
    "suppress",
    [broken, partial(broken, "enter"), partial(broken, "exit"), int, None],
    ids=["another argument", "enter", "exit", "no switch", "nothing"],
)
def test_a_tool_that_fails_disturbs_nothing(monkeypatch: pytest.MonkeyPatch, suppress: object) -> None:
    """The request is sent and answered, and the other tool is silent."""
    switch = Switch()
    put_module(monkeypatch, "opentelemetry.instrumentation.utils", suppress_instrumentation=suppress)
    put_module(monkeypatch, "sentry_sdk.hub", Hub=switch.suppress)
    with untraced():
        assert switch.events == ["off"]
    assert switch.events == ["off", "on"]


@pytest.mark.parametrize("name", ["opentelemetry.instrumentation.utils", "sentry_sdk.scope", "sentry_sdk.hub"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_tool_that_is_half_imported_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, *, is_there: bool
) -> None:
    """Another thread imports it at this moment, or an import was blocked."""
    if is_there:
        put_module(monkeypatch, name)
    else:
        monkeypatch.setitem(sys.modules, name, None)
    with untraced():
        pass


def test_sentry_2_that_is_half_imported_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scope is imported before the client."""
    switch = Switch()
    put_module(monkeypatch, "sentry_sdk.scope", use_scope=lambda _: switch.suppress(), Scope=object)
    with untraced():
        assert switch.events == []
