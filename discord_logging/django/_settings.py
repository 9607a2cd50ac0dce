"""This module reads `DISCORD_LOGGING`, the settings of the app."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.conf import settings

from discord_logging._exceptions import InvalidSettingError
from discord_logging._records.parse import parse_switch

OWN_SETTINGS: Mapping[str, bool] = MappingProxyType({"startup_notice": True, "client_address": False, "report": False})
"""The settings of the app itself, which are true or false, and their defaults. All others are the handler's."""


def read_settings() -> Mapping[str, Any]:
    """Return the settings of the project.

    Raises:
        InvalidSettingError: They are no dict.
    """
    found = getattr(settings, "DISCORD_LOGGING", None) or {}
    if not isinstance(found, Mapping):
        kind = type(found).__name__
        raise InvalidSettingError(f"DISCORD_LOGGING must be a dict such as {{'username': 'shop'}}, not of type {kind}.")
    return found


def is_on(name: str) -> bool:
    """Return one of the app's own settings.

    Raises:
        InvalidSettingError: The value is neither true nor false.
    """
    return parse_switch(f"DISCORD_LOGGING[{name!r}]", read_settings().get(name), default=OWN_SETTINGS[name])
