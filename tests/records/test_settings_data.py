"""The settings of cards as plain data, for a process that shows the records of another one."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import DEFAULT_REDACT, DiscordHandler, EmbedFormatter, SecretMasker
from discord_logging._cards.compose import lay_out
from discord_logging._records.freeze import freeze
from discord_logging._records.parse import DEFAULT_MASKER
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings
from discord_logging._records.settings_data import read_settings

TEXT = st.text(st.characters(), max_size=20)
LEVEL = st.integers(min_value=-5) | st.just(2**70)
LOOK = st.none() | TEXT | st.dictionaries(LEVEL, st.none() | TEXT, min_size=1, max_size=4)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "avatar_url": LOOK,
        "thread_id": st.none() | TEXT,
        "applied_tags": st.lists(TEXT, max_size=3).map(tuple),
        "context": st.dictionaries(TEXT, TEXT, max_size=3),
        "fields": st.none() | st.lists(TEXT, max_size=3).map(tuple),
        "hidden_fields": st.frozensets(TEXT, max_size=3),
        "colors": st.dictionaries(LEVEL, st.integers(0, 0xFFFFFF), min_size=1, max_size=4),
        "emojis": st.dictionaries(LEVEL, TEXT, min_size=1, max_size=4),
        "mentions": st.dictionaries(LEVEL, st.sampled_from(["", "@here", "<@&5>"]), max_size=3),
        "silent_below": LEVEL,
        "own_packages": st.lists(TEXT, max_size=3).map(tuple),
        "show_locals": st.sampled_from([None, "own"]),
        "masker": st.lists(TEXT, max_size=3).map(SecretMasker),
        "is_notice": st.booleans(),
    },
)


def travel(settings: CardSettings) -> CardSettings:
    """Return the settings that arrive through JSON."""
    return CardSettings.from_data(json.loads(json.dumps(settings.to_data(), allow_nan=False)), EmbedFormatter())


def state(settings: CardSettings) -> dict[str, Any]:
    """Return all settings that show, comparable."""
    found = {each.name: getattr(settings, each.name) for each in dataclasses.fields(settings)}
    return {**found, "formatter": type(settings.formatter), "masker": settings.masker.words, "number": 0}


@given(given=SETTINGS)
def test_all_settings_survive(given: dict[str, Any]) -> None:
    """Levels stay numbers, tuples stay tuples, and the digest stays the same, also if it is computed anew."""
    settings = CardSettings(EmbedFormatter(), **given)
    copy = travel(settings)
    assert state(copy) == state(settings)
    assert copy.digest == settings.digest == dataclasses.replace(copy).digest
    assert copy.destination == settings.destination
    assert copy.number != settings.number


def test_a_handlers_settings_survive() -> None:
    """They are those of the options, and each mapping keeps its order."""
    handler = DiscordHandler(
        username={"ERROR": "Alarm"},
        thread_name="Errors",
        applied_tags=[5],
        context={"service": "shop", "environment": "production"},
        fields=["-request_id"],
        colors={"ERROR": "#000001"},
        mentions={"CRITICAL": "<@&5>"},
        source_url="https://git.example/{path}#L{line}",
        redact=[*DEFAULT_REDACT, "iban"],
    )
    settings = handler._settings
    copy = travel(settings)
    assert state(copy) == state(settings)
    assert copy.digest == settings.digest
    assert list(copy.context) == ["service", "environment"]
    assert copy.masker.mask("iban=DE02") == "iban=***"


def test_settings_of_one_look_share_their_masker() -> None:
    """A masker takes milliseconds to be made."""
    assert travel(CardSettings(EmbedFormatter())).masker is DEFAULT_MASKER
    settings = CardSettings(EmbedFormatter(), masker=SecretMasker(["iban"]))
    assert travel(settings).masker is travel(settings).masker


def test_the_data_hold_no_secret() -> None:
    """A store keeps them. The name, the title and the address are masked in the message anyway."""
    secret = "hunter" + "2" * 5
    settings = CardSettings(
        EmbedFormatter(),
        username={40: f"password={secret}"},
        thread_name=f"password={secret}",
        source_url=f"https://shop:{secret}@git.example/{{path}}",
    )
    assert secret not in json.dumps(settings.to_data())
    assert travel(settings).digest == settings.digest
    assert travel(travel(settings)).to_data() == settings.to_data()


def test_the_words_of_the_masker_survive_letters_that_become_two() -> None:
    """The second part of such a letter is a sign, which separates words."""
    masker = SecretMasker(["\u0130D kodu"])
    assert SecretMasker(masker.words).words == masker.words
    assert masker.is_secret("\u0130D_KODU")


def test_numbers_and_texts_of_other_classes_become_plain() -> None:
    """JSON has no enumerations."""

    class Color(enum.IntEnum):
        RED = 0xFF0000

    class Word(str):
        __slots__ = ()

    settings = CardSettings(EmbedFormatter(), colors={logging.ERROR: Color.RED}, emojis={0: Word("x")})
    copy = travel(settings)
    assert (type(copy.colors[40]), type(copy.emojis[0])) == (int, str)
    assert state(copy) == state(settings)


def test_a_formatter_of_the_users_own_keeps_its_digest() -> None:
    """No class is imported from the data, and the records are told from those of other handlers."""

    class Own(EmbedFormatter):
        pass

    settings = CardSettings(Own())
    copy = travel(settings)
    assert type(copy.formatter) is EmbedFormatter
    assert copy.digest == settings.digest != CardSettings(EmbedFormatter()).digest
    assert "Own" not in json.dumps(settings.to_data())


def test_settings_of_other_versions_are_read() -> None:
    """An older version lacks some, a newer one has more."""
    standard = CardSettings(EmbedFormatter())
    assert state(CardSettings.from_data({}, EmbedFormatter())) == state(standard)
    assert CardSettings.from_data({}, EmbedFormatter()).digest == standard.digest
    newer = {**standard.to_data(), "shape": {"unknown": [1]}}
    assert state(CardSettings.from_data(newer, EmbedFormatter())) == state(standard)


@pytest.mark.parametrize(
    "data",
    [
        *(None, 5, "text", [], [["username", "x"]]),
        *({"username": 5}, {"username": {"dict": []}}, {"username": {"dict": [["40", "x"]]}}),
        *({"username": {"dict": [[True, "x"]]}}, {"context": {"a": "b"}}, {"context": {"dict": [["a", 1]]}}),
        *({"fields": "ab"}, {"fields": ["a"]}, {"fields": {"tuple": [1]}}, {"colors": {"dict": []}}, {"colors": None}),
        *({"colors": {"dict": [[0, 1.5]]}}, {"emojis": {"dict": [[0, None]]}}, {"silent_below": True}),
        *({"words": "password"}, {"words": {"tuple": [None]}}, {"masker": 1, "words": None}, {"is_notice": 1}),
        *({"digest": 5}, {"thread_id": {"escaped": None}}, {"thread_id": {"dict": [[[], 1]]}}),
        *({"thread_id": {"float": 10**400}}, {"thread_id": {"unknown": 1}}, {"thread_id": {"attachment": []}}),
    ],
    ids=lambda data: f"{data!r:.60}",
)
def test_other_data_are_an_error(data: Any) -> None:
    """Nothing that would fail only when a card is laid out gets through."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        CardSettings.from_data(data, EmbedFormatter())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dict", "tuple", "int", "escaped", "attachment", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(data=st.dictionaries(st.sampled_from([*CardSettings(EmbedFormatter()).to_data()]), JUNK, max_size=3))
def test_any_data_are_settings_or_an_error(data: dict[str, Any]) -> None:
    """Settings that are read lay a record out."""
    try:
        settings = CardSettings.from_data(data, EmbedFormatter())
    except (KeyError, TypeError, ValueError):
        return
    assert read_settings(data).keys() <= state(settings).keys()
    card = lay_out(FrozenRecord(freeze(logging.LogRecord("shop", 40, "a.py", 1, "hello", (), None), settings)))
    assert "failed" not in card["footer"]["text"]
