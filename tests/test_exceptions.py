"""The errors of this package."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import TYPE_CHECKING

import pytest

from discord_logging import (
    DiscordLoggingError,
    InvalidSettingError,
    InvalidWebhookURLError,
    TransportError,
    _exceptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"


def test_one_except_clause_catches_all() -> None:
    """Every error of the package has the one base class."""
    classes = [each for _, each in inspect.getmembers(_exceptions, inspect.isclass)]
    errors = [each for each in classes if each.__module__ == _exceptions.__name__]
    assert len(errors) == 4
    assert all(issubclass(each, DiscordLoggingError) for each in errors)


@pytest.mark.parametrize("error", [InvalidWebhookURLError, InvalidSettingError])
def test_wrong_values_are_value_errors(error: type[Exception]) -> None:
    """Whoever does not know this package catches what the standard library would raise."""
    assert issubclass(error, ValueError)


def test_a_setting_that_holds_a_webhook_url_does_not_show_its_token() -> None:
    """The URL may have been given to the wrong setting."""
    error = InvalidSettingError(f"username must be a name, not 'https://discord.com/api/webhooks/1/{TOKEN}'.")
    assert TOKEN[:8] not in repr(error)
    assert str(error) == "username must be a name, not 'https://discord.com/api/webhooks/1/***'."


def test_a_setting_that_is_huge_does_not_fill_the_screen() -> None:
    """The text is cut, and shows that it is."""
    error = InvalidSettingError("context must be a mapping, not " + "x" * 10_000)
    assert len(str(error)) == 500
    assert str(error).endswith("…")


@pytest.mark.parametrize("maybe_saved", [False, True])
def test_a_transport_error_says_whether_a_repeat_may_be_a_duplicate(*, maybe_saved: bool) -> None:
    """That decides how often it is sent again."""
    error = TransportError("ConnectTimeout", maybe_saved=maybe_saved)
    assert str(error) == "ConnectTimeout"
    assert error.maybe_saved is maybe_saved


@pytest.mark.parametrize(
    "error",
    [
        DiscordLoggingError("no"),
        InvalidWebhookURLError("no URL"),
        InvalidSettingError("level must be a level"),
        TransportError("ConnectTimeout", maybe_saved=False),
        TransportError("ReadTimeout", maybe_saved=True),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301 - what we pickled
)
def test_errors_can_be_copied_and_pickled(error: Exception, clone: Callable[[Exception], Exception]) -> None:
    """An error crosses the border of a process pool whole."""
    error.__dict__["hint"] = "of the caller"
    cloned = clone(error)
    assert (type(cloned), str(cloned), vars(cloned)) == (type(error), str(error), vars(error))
