"""The package warns through its own logger, and writes lines to stderr."""

from __future__ import annotations

import io
import logging
import logging.config
import sys
import threading

import pytest

from discord_logging import DiscordHandler
from discord_logging._process.diagnostics import LOGGER_NAME, say, warn
from discord_logging._process.own_threads import is_own_thread


def test_warning_goes_to_the_logger_of_the_package(caplog: pytest.LogCaptureFixture) -> None:
    """The warning reaches the handlers of the root logger, with its level and its arguments in the text."""
    warn("%d of %s", 3, "five")
    assert caplog.record_tuples == [(LOGGER_NAME, logging.WARNING, "3 of five")]


def test_warning_survives_dict_config(caplog: pytest.LogCaptureFixture) -> None:
    """`disable_existing_loggers`, which is the default, does not silence the warning."""
    handlers = logging.root.handlers[:]
    logging.config.dictConfig({"version": 1})
    logging.root.handlers[:] = handlers
    warn("still here")
    assert "still here" in caplog.text


@pytest.mark.parametrize("quiet", ["level", "disable"])
def test_warning_can_be_switched_off(quiet: str, caplog: pytest.LogCaptureFixture) -> None:
    """The logger's level and `logging.disable` silence the warning."""
    logger = logging.getLogger(LOGGER_NAME)
    if quiet == "level":
        logger.setLevel(logging.ERROR)
    else:
        logging.disable(logging.WARNING)
    warn("not heard")
    logger.setLevel(logging.NOTSET)
    assert "not heard" not in caplog.text


def test_warning_takes_no_lock_of_logging() -> None:
    """`dictConfig` holds that lock while it waits for a flush, which may want to warn."""
    lock = logging._lock  # type: ignore[attr-defined]  # the lock that dictConfig takes
    with lock:
        thread = threading.Thread(target=warn, args=("hello",))
        thread.start()
        thread.join(5)
    assert not thread.is_alive()


def test_warning_shows_the_exception_that_is_being_handled(caplog: pytest.LogCaptureFixture) -> None:
    """The warning of an error in our own code comes with its traceback."""
    try:
        int("x")
    except ValueError:
        warn("failed", exc_info=True)
    assert "invalid literal" in caplog.text


@pytest.mark.parametrize(
    ("kinds", "is_muted", "expected"),
    [
        ([], False, "the disk is full\n"),
        ([DiscordHandler], False, "the disk is full\n"),
        ([DiscordHandler], True, ""),
        ([logging.NullHandler], False, ""),
        ([DiscordHandler, logging.NullHandler], False, ""),
    ],
)
def test_a_warning_that_no_handler_takes_is_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kinds: list[type[logging.Handler]],
    is_muted: bool,
    expected: str,
) -> None:
    """Regression: our handlers ignore their own threads, and `logging` took them for handlers all the same."""
    monkeypatch.setattr(logging.root, "handlers", [kind() for kind in kinds])
    monkeypatch.setattr(logging.getLogger(LOGGER_NAME), "filters", [lambda _: not is_muted])
    token = is_own_thread.set(True)
    warn("the disk is %s", "full")
    is_own_thread.reset(token)
    assert capsys.readouterr().err == expected


def test_a_line_on_stderr_names_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """The line begins with the name of the package."""
    say("hello")
    assert capsys.readouterr().err == "discord_logging: hello\n"


def test_a_missing_or_closed_stderr_raises_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under pythonw stderr is None, and at exit it may be closed."""
    closed = io.StringIO()
    closed.close()
    for stderr in (None, closed):
        monkeypatch.setattr(sys, "stderr", stderr)
        say("hello")
