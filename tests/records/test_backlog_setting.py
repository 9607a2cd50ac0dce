"""The directory that keeps waiting records, in the forms in which people name it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import DiscordHandler, InvalidSettingError
from discord_logging._discord.webhook_url import HiddenText
from discord_logging._records.backlog_setting import find_in_environment, is_redis, parse_backlog
from discord_logging._records.settings import DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "hunter2Hunter2"
posix = pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of POSIX")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@posix
@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/var/lib/shop", "/var/lib/shop"),
        (Path("/var/lib/shop"), "/var/lib/shop"),
        (HiddenText("/var/lib/shop"), "/var/lib/shop"),
        (" /var/lib//shop/../shop/ \n", "/var/lib/shop"),
        ("/var/lib/a:b", "/var/lib/a:b"),
        ("/var/lib/a b?c=d#e", "/var/lib/a b?c=d#e"),
        ("sqlite:///var/lib/shop", "/var/lib/shop"),
        ("SQLite:////var/lib/shop/", "/var/lib/shop"),
    ],
)
def test_a_path_and_its_url_mean_the_directory(value: Any, path: str) -> None:
    """The result is a plain text with the absolute path."""
    found = parse_backlog("backlog", value)
    assert (found, type(found)) == (path, str)


def test_a_relative_path_begins_at_the_present_directory(tmp_path: Path) -> None:
    """A later change of the directory does not matter, and a tilde is the home."""
    assert parse_backlog("backlog", "shop") == str(tmp_path / "shop")
    assert parse_backlog("backlog", Path("shop")) == str(tmp_path / "shop")


@posix
def test_a_tilde_is_the_home(tmp_path: Path) -> None:
    """A user without a home has no directory."""
    assert parse_backlog("backlog", "~/shop") == str(tmp_path / "home" / "shop")
    assert parse_backlog("backlog", Path("~/shop")) == str(tmp_path / "home" / "shop")
    with pytest.raises(InvalidSettingError, match=r"^backlog must be a directory .*, not '~no-such-user/shop'\.$"):
        parse_backlog("backlog", "~no-such-user/shop")


@pytest.mark.parametrize("value", [5, True, b"/var/lib", ["/var"], {}, "", " ", None, Path("a\0b"), "a\0b"], ids=repr)
def test_other_values_are_errors_that_show_a_right_one(value: Any) -> None:
    """The text names the setting."""
    with pytest.raises(InvalidSettingError, match=r"^backlog must be a directory such as '/var/lib/shop/backlog', or "):
        parse_backlog("backlog", value)


@pytest.mark.parametrize(
    "value",
    [
        *("sqlite://", "sqlite:///", "sqlite:////", "sqlite:/var/lib", "sqlite://var/lib", "sqlite:///var?mode=ro"),
        *("sqlite:///var#x", "file:///var/lib", "postgresql://shop.example/db", "s3://bucket/backlog"),
    ],
)
def test_other_urls_are_errors(value: str) -> None:
    """A directory with such a name would be a surprise."""
    with pytest.raises(InvalidSettingError, match=r"^backlog must .*'sqlite:///var/lib/shop/backlog' .*, not '\w+:"):
        parse_backlog("backlog", value)


@pytest.mark.parametrize("url", ["redis://shop.example:6379/0", "rediss://shop.example", "unix:///run/redis.sock?db=1"])
def test_the_url_of_a_redis_is_hidden(url: str) -> None:
    """It may have a password."""
    found = parse_backlog("backlog", f" {url}\n")
    assert (found, is_redis(found), is_redis("/redis")) == (url, True, False)
    assert url not in repr(DeliverySettings.from_options(backlog=url))


@pytest.mark.parametrize(
    "value",
    [
        f"redis://:{PASSWORD}@shop.example/zero",
        f"REDIS://shop:{PASSWORD}@shop.example:x",
        f"unix://:{PASSWORD}@?password={PASSWORD}",
        f"redis+sentinel://:{PASSWORD}@shop.example:26379",
        f"postgresql://shop:{PASSWORD}/x@shop.example/db?password={PASSWORD}",
        f"sqlite://shop:{PASSWORD}@host/x",
        f"sqlite:///var/lib?password={PASSWORD}",
    ],
)
def test_no_error_shows_a_password(value: str, shown_locals: Callable[[BaseException], str]) -> None:
    """Neither its text nor the locals of its frames do."""
    with pytest.raises(InvalidSettingError, match=r"^backlog must ") as caught:
        DiscordHandler(backlog=value)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in shown_locals(caught.value)


@posix
def test_the_environment_names_the_directory_of_handlers_without_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is not given."""
    assert find_in_environment() is None
    monkeypatch.setenv("DISCORD_BACKLOG", "/var/lib/shop")
    for blank in (None, "", " "):
        assert DeliverySettings.from_options(backlog=blank).backlog == "/var/lib/shop"
    assert DeliverySettings.from_options().backlog == "/var/lib/shop"
    assert DeliverySettings.from_options(backlog="/srv/shop").backlog == "/srv/shop"
    monkeypatch.setenv("DISCORD_BACKLOG", " ")
    assert DeliverySettings.from_options().backlog is None


def test_a_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, which the user must change."""
    monkeypatch.setenv("DISCORD_BACKLOG", "redis://shop.example/zero")
    with pytest.raises(InvalidSettingError, match=r"^DISCORD_BACKLOG must be a directory "):
        DiscordHandler()


@posix
def test_a_working_directory_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute path does not need it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert parse_backlog("backlog", "/var/lib/shop") == "/var/lib/shop"
    with pytest.raises(InvalidSettingError, match="the working directory is gone"):
        parse_backlog("backlog", "shop")


def test_a_path_that_is_no_utf8_is_kept() -> None:
    """The file system accepts any bytes."""
    name = os.fsdecode(b"/var/lib/sh\xf6p") if sys.platform != "win32" else "C:\\shop"
    assert parse_backlog("backlog", name) == name


class TestDirectory:
    """The directory that stands in for a Redis."""

    def test_the_environment_names_it_for_all_handlers_with_a_redis(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A setting goes before it, and a handler without Redis needs none."""
        monkeypatch.setenv("DISCORD_BACKLOG_DIR", "/var/lib/shop")
        monkeypatch.setenv("DISCORD_BACKLOG", "redis://cache.example")
        assert DeliverySettings.from_options().backlog_dir == str(Path("/var/lib/shop").absolute())
        assert DeliverySettings.from_options(backlog_dir="/srv").backlog_dir == str(Path("/srv").absolute())
        assert DeliverySettings.from_options(backlog="/srv").backlog_dir is None
        monkeypatch.delenv("DISCORD_BACKLOG")
        assert DeliverySettings.from_options().backlog_dir is None

    def test_a_wrong_value_in_the_environment_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the variable."""
        monkeypatch.setenv("DISCORD_BACKLOG_DIR", "rediss://cache.example")
        with pytest.raises(InvalidSettingError, match=r"^DISCORD_BACKLOG_DIR must be a directory .*, not a Redis"):
            DeliverySettings.from_options(backlog="redis://cache.example")
