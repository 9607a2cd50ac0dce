"""The URL of a Redis is taken apart, and what may be shown of it has no password."""

from __future__ import annotations

import pytest

from discord_logging._records.redis_address import parse_address

PASSWORD = "hunter" + "2" * 5


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://shop:{PASSWORD}@cache.example:6379/2", "redis://cache.example:6379/2"),
        (f"REDISS://:{PASSWORD}@[::1]:6380?socket_timeout=5", "rediss://[::1]:6380"),
        (f"unix://:{PASSWORD}@/run/redis.sock?db=1&password={PASSWORD}", "unix:///run/redis.sock"),
        (f"redis+sentinel://:{PASSWORD}@one:1,two/shop/3", "redis+sentinel://one:1,two/shop/3"),
    ],
)
def test_the_user_the_password_and_the_query_are_not_shown(url: str, shown: str) -> None:
    """The password is known, so that it can be taken out of the texts of others."""
    address = parse_address(url)
    assert address.shown == shown
    assert repr(address) == f"<Address {shown}>"
    assert PASSWORD in address.secrets


def test_sentinels_have_a_service_and_options_of_their_own() -> None:
    """The options that begin with `sentinel_` are theirs, and the others are those of the server."""
    address = parse_address("redis+sentinel://shop:a%40b@one:1,two/my%20master/3?sentinel_password=c&socket_timeout=5")
    assert address.sentinels == (("one", 1), ("two", 26379))
    assert (address.service, address.database) == ("my master", 3)
    assert address.options == {"socket_timeout": "5", "username": "shop", "password": "a@b"}
    assert address.sentinel_options == {"password": "c"}
    assert parse_address("redis+sentinel://one/master").database == 0


@pytest.mark.parametrize("url", ["redis://cache.example", "unix:///run/redis.sock", "redis+sentinel://one/shop"])
def test_an_option_for_texts_is_left_out(url: str) -> None:
    """Other programs that share the URL need it, and we read bytes."""
    assert parse_address(f"{url}?decode_responses=true&socket_timeout=5") == parse_address(f"{url}?socket_timeout=5")
    other = parse_address(f"{url}?socket_timeout=5&decode_responses=1")
    assert (other.shown, "decode" in f"{other.url} {other.options}") == (url, False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://cache.example", "its scheme is unknown"),
        ("redis:cache.example", "its scheme is unknown"),
        ("redis://[::1/0", "its host is malformed"),
        ("redis://cache.example/0#1", "a '#' must be written as %23"),
        ("unix://", "it names no socket"),
        ("unix:///run/redis.sock?db=two", "its database is no number"),
        ("redis://cache.example/two", "its database is no number"),
        ("redis://cache.example:many", "its port is malformed"),
        ("redis://one,two/0", "it names several hosts"),
        ("redis://:6379/0", "it names no host"),
        ("redis+sentinel://one:26379", "it names no service of the Sentinels"),
    ],
)
def test_a_malformed_url_is_an_error_in_words(url: str, reason: str) -> None:
    """The text shows no part of the URL."""
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_address(url)
