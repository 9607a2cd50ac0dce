"""Tests of the regular expressions that are compiled at their first use."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    import pytest

_COUNTING = """
    import re, sys, threading
    from collections import Counter

    modules, original = Counter(), re.compile

    def count(pattern, flags=0):
        if threading.current_thread() is threading.main_thread():
            modules[sys._getframe(1).f_globals["__name__"]] += 1
        return original(pattern, flags)

    re.compile = count
"""
_PRINTING = """
    for name in modules.elements():
        print(name, flush=True)
    import os
    os._exit(0)  # Nothing is to be delivered.
"""


def compiled(program: str) -> Counter[str]:
    """Return how many patterns each module of ours compiles on the main thread of a program."""
    script = "".join(map(textwrap.dedent, (_COUNTING, program, _PRINTING)))
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return Counter(name for name in run.stdout.split() if name.startswith("discord_logging"))


def test_pattern_is_compiled_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its later uses are as fast as those of a compiled pattern."""
    calls: list[tuple[Any, ...]] = []
    original: Any = re.compile

    def count(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(re, "compile", count)
    pattern = lazy_pattern("a+", re.IGNORECASE)
    assert calls == []
    assert [pattern.sub("b", "xAa") for _ in range(3)] == ["xb"] * 3
    assert calls == [("a+", re.IGNORECASE)]


def test_pattern_does_what_a_compiled_one_does() -> None:
    """The two have the same methods and attributes, for text and for bytes."""
    pattern, same = lazy_pattern(r"(?P<name>\w)=(\d)"), re.compile(r"(?P<name>\w)=(\d)")
    text = "a=1, b=2"
    assert pattern.findall(text) == same.findall(text)
    assert [match.span("name") for match in pattern.finditer(text, 3)] == [(5, 6)]
    assert pattern.split(text) == same.split(text)
    assert (pattern.fullmatch(text), pattern.pattern, pattern.groups) == (None, same.pattern, 2)
    match = lazy_pattern(rb"\x89PNG").match(b"\x89PNG\r\n")
    assert match
    assert match.end() == 4


def test_pattern_is_compiled_by_several_threads_at_once() -> None:
    """No lock keeps them apart, and each finds the same."""
    pattern, found = lazy_pattern(r"(?:a|b)+\Z"), []
    barrier = threading.Barrier(8)

    def search() -> None:
        barrier.wait(10)
        match = pattern.search("xxabab")
        found.append(match and match[0])

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == ["abab"] * 8


def test_import_compiles_no_pattern_that_only_the_listener_uses() -> None:
    """Regression: the import compiled 250 patterns for cards and masks, which took a third of its time."""
    found = compiled("import discord_logging")
    assert {"_cards", "_masking"}.isdisjoint(name.split(".")[1] for name in found)
    # Those that are left are for a logging call.
    assert 0 < sum(found.values()) <= 50


def test_logging_call_compiles_nothing() -> None:
    """The caller's thread never waits for a pattern, from its first record on."""
    found = compiled(
        """
        import logging
        from discord_logging import DiscordHandler

        logging.getLogger().addHandler(DiscordHandler("http://127.0.0.1:9/api/webhooks/1/abc", allow_http=True))
        modules.clear()
        for number in range(3_000):
            logging.error("Payment %s failed at 10:00:00: password=%s", number, "hunter2")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.exception("Checkout failed", extra={"order": {"id": 4711, "paid_at": "10:00"}})
        """
    )
    assert found == Counter()


def test_record_of_a_request_compiles_nothing() -> None:
    """The names in a path are judged in the logging call, so an integration compiles the patterns for names before."""
    found = compiled(
        """
        from discord_logging._integrations.request_fields import mask_values

        modules.clear()
        print(mask_values("/reset/0815", {"user_id": "7", "sort_key": "name", "secret_file": "a", "page": "2"}))
        """
    )
    assert found == Counter()
