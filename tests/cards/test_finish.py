"""The card of a formatter of the user's own, which another process posts."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import Attachment, EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import compose, lay_out
from discord_logging._cards.finish import finish
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import from_data, to_json
from discord_logging._records.record import Counts
from discord_logging._records.settings import CardSettings
from discord_logging._records.stored_card import StoredCard

if TYPE_CHECKING:
    from discord_logging._discord.types import Embed, EmbedField

SENDER = CardSettings(EmbedFormatter())


class Own(EmbedFormatter):
    """A formatter with a state of its own."""

    def __init__(self, shop: str = "Tea") -> None:
        super().__init__()
        self._shop = shop

    def title(self, record: FrozenRecord) -> str:
        """Return a title that only this process can make."""
        return f"{self._shop}: {record.levelname} in {record.threadName}"

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        """Return a field with a secret."""
        return [*super().fields(record), {"name": "password", "value": "hunter22222"}]

    def mention(self, record: FrozenRecord) -> str:
        """Return a mention by the logger."""
        return "<@&5>" if record.name == "shop" else ""


class Plain(EmbedFormatter):
    """A formatter whose cards are the standard ones."""


def make(formatter: logging.Formatter | None, msg: str = "hello", **attributes: Any) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord("shop", logging.ERROR, __file__, 42, msg, (), None, "buy")
    record.__dict__.update(attributes)
    return FrozenRecord(freeze(record, CardSettings(formatter)))


def travel(record: FrozenRecord, settings: CardSettings = SENDER) -> FrozenRecord:
    """Return the record that arrives in a process that does not have the formatter."""
    return from_data(json.loads(to_json(finish(record), {})), settings)


def test_the_card_is_that_of_its_own_process() -> None:
    """So are its mention and its masks."""
    record = make(Own(), order_id=17)
    copy = travel(record)
    assert lay_out(copy) == lay_out(record)
    assert lay_out(copy)["title"].startswith("Tea: ERROR")
    assert b"hunter" not in to_json(finish(record), {})
    assert compose([copy]).message == compose([record]).message
    assert compose([copy]).message.mentions == ("<@&5>",)
    assert lay_out(travel(copy)) == lay_out(record)


@pytest.mark.parametrize(
    "counts", [Counts(3, 2e9), Counts(is_repeat=True), Counts(2, 2e9, is_repeat=True)], ids=["x3", "repeat", "both"]
)
def test_repeats_are_added_where_it_is_posted(counts: Counts) -> None:
    """The record is counted after its card was made. A card is laid out more than once."""
    record = make(Own())
    copy = travel(record).counted(counts)
    assert lay_out(copy) == lay_out(copy) == lay_out(record.counted(counts)) != lay_out(record)


def test_a_card_that_is_cut_has_its_file() -> None:
    """The file has the whole text."""
    record = make(Own(), "x" * 10_000)
    message = compose([travel(record)]).message
    assert message == compose([record]).message
    assert len(message.files) == 1


def test_a_digest_shows_the_card() -> None:
    """It stands below the summary."""
    records = [travel(make(Own(), f"order {number} " + "x" * 300, lineno=number)) for number in range(100)]
    message = compose(records).message
    assert "every record is in the attached file" in message.payload["embeds"][0]["description"]
    assert message.payload["embeds"][1]["title"].startswith("Tea: ERROR")


class Broken(EmbedFormatter):
    """A formatter that raises."""

    def title(self, record: FrozenRecord) -> str:
        """Raise an error."""
        raise LookupError(record.name)

    def mention(self, record: FrozenRecord) -> str:
        """Raise an error."""
        raise LookupError(record.name)


class Junk(EmbedFormatter):
    """A formatter that returns no embed."""

    def embed(self, record: FrozenRecord) -> Embed:
        """Return a text."""
        return record.message  # type: ignore[return-value]  # on purpose

    def mention(self, record: FrozenRecord) -> str:
        """Return a number."""
        return record.lineno  # type: ignore[return-value]  # on purpose


@pytest.mark.parametrize(("formatter", "error"), [(Broken(), "LookupError"), (Junk(), "TypeError")])
def test_a_formatter_that_fails_makes_the_standard_card(formatter: EmbedFormatter, error: str) -> None:
    """The footer says so, as it does in one process."""
    record = make(formatter)
    card = lay_out(travel(record))
    assert card == lay_out(record)
    assert card["footer"]["text"].endswith(f"{type(formatter).__name__} failed: {error}")
    assert compose([travel(record)]).message.mentions == ()


@pytest.mark.parametrize(
    "value", [Decimal(5), float("nan"), b"5", {5}, 10**5_000], ids=lambda value: type(value).__name__
)
def test_a_card_that_json_has_no_form_for_is_the_standard_card(value: object) -> None:
    """Discord could not get it either."""

    class Odd(EmbedFormatter):
        def embed(self, record: FrozenRecord) -> Embed:
            return {**super().embed(record), "color": value}  # type: ignore[typeddict-item]  # on purpose

    assert "Odd failed: " in lay_out(travel(make(Odd())))["footer"]["text"]


def test_the_program_may_end_while_the_card_is_made() -> None:
    """An interrupt is no failure of the formatter."""

    class Interrupted(EmbedFormatter):
        def embed(self, record: FrozenRecord) -> Embed:
            raise KeyboardInterrupt(record.name)

    with pytest.raises(KeyboardInterrupt):
        finish(make(Interrupted()))


@pytest.mark.parametrize("formatter", [EmbedFormatter(), logging.Formatter(), None])
def test_only_a_formatter_of_the_users_own_makes_a_card_in_advance(formatter: logging.Formatter | None) -> None:
    """Every process has the standard one, and another kind has made its text already."""
    record = make(formatter)
    assert finish(record) is record
    assert "card" not in json.loads(to_json(record, {}))


def test_records_with_cards_are_repeats_of_each_other() -> None:
    """What was logged counts, not how it looks: the thread in the title does not make it another record."""
    first, second, other = (
        travel(make(Own(), msg, threadName=thread)) for msg, thread in (("no tea", "a"), ("no tea", "b"), ("tea", "a"))
    )
    assert lay_out(first) != lay_out(second)
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()


def test_notices_are_no_repeats_of_each_other() -> None:
    """Each is shown, also where settings that are alike are one object."""
    settings = CardSettings.from_data(CardSettings(Own(), is_notice=True).to_data(), EmbedFormatter())
    first, second = (travel(make(Own()), settings) for _ in range(2))
    assert first.settings is second.settings
    assert first.fingerprint() != second.fingerprint()


def test_files_of_a_record_come_along() -> None:
    """The card names them, and the files are read where they are posted."""
    record = make(Plain(), report=Attachment(b"\x89PNG\r\n\x1a\n", "report.png"))
    message = compose([travel(record)]).message
    assert [file.filename for file in message.files] == ["report.png"]
    (card,) = message.payload["embeds"]
    assert card["image"] == {"url": "attachment://report.png"}
    assert any("report.png" in field["value"] for field in card["fields"])


def test_a_card_counts_in_the_size_of_its_record() -> None:
    """The bounds of a queue hold for it."""
    record = travel(make(Own()))
    assert record.card
    assert record.size == travel(make(EmbedFormatter())).size + record.card.size
    assert record.card.size > 100


@pytest.mark.parametrize(
    "card", [None, [], {}, {"embed": [], "mention": "", "is_cut": False}, {"embed": {}, "mention": 1, "is_cut": False}]
)
def test_other_data_are_an_error(card: Any) -> None:
    """Another program may have written them."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_data({**json.loads(to_json(make(EmbedFormatter()), {})), "card": card}, SENDER)


def test_a_stored_card_that_is_no_card_makes_the_standard_card() -> None:
    """A later version may have written parts that this one does not know."""
    record = make(EmbedFormatter()).carrying(StoredCard({"fields": 5}, "@everyone else", is_cut=False))  # type: ignore[typeddict-item]
    assert lay_out(record)["title"].endswith("shop")
    assert compose([record]).message.mentions == ()
