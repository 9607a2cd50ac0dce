"""Live cards are made of messages that were posted, and edits of entries that wait."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._backlogs.entry import Entry
from discord_logging._backlogs.open_incident import OpenIncident, Part
from discord_logging._cards.compose import compose
from discord_logging._cards.live import Change, Edit, LiveCard
from discord_logging._delivery.edits import change_of, live_cards
from discord_logging._discord.sender import Response
from discord_logging._discord.types import Message
from discord_logging._records.freeze import freeze
from discord_logging._records.record import Counts
from discord_logging._records.settings import CardSettings

SETTINGS = CardSettings(EmbedFormatter())
POSTED = {"id": "42", "channel_id": "5", "attachments": [{"id": "77"}]}


def make(message: str, settings: CardSettings = SETTINGS, **attributes: Any) -> FrozenRecord:
    """Return a record."""
    facts = {"name": "shop", "levelno": logging.ERROR, "levelname": "ERROR", "msg": message, "created": 1.7e9}
    return FrozenRecord(freeze(logging.makeLogRecord({**facts, "process": 4711, **attributes}), settings))


def entry(message: str = "no stock", settings: CardSettings = SETTINGS, **attributes: Any) -> Entry:
    """Return the first entry of an incident."""
    made = Entry(make(message, settings, **attributes))
    made.part = Part(OpenIncident(), made.record)
    made.part.books.add(made.record.created, made.record.source)
    return made


def post(*entries: Entry, body: object = POSTED, **changes: Any) -> dict[Entry, LiveCard]:
    """Return the live cards of a message for entries, to which Discord responds with `body`."""
    entry_of = {each.counted(): each for each in entries}
    message, _, drafts = compose(list(entry_of))
    message = message._replace(payload={**message.payload, **changes.pop("payload", {})}, **changes)
    return live_cards(message, {entry_of[each.record]: each for each in drafts}, Response(200, {}, body), 1_000.0)


def part_of(waiting: Entry) -> Part:
    """Return the part of an entry."""
    assert waiting.part
    return waiting.part


class TestLiveCards:
    """A message in the channel may be edited if it is known where it is."""

    def test_each_card_knows_its_place_in_one_message(self) -> None:
        """All of them are edited by one request."""
        first, second = entry("no stock"), entry("no money")
        cards = post(first, second)
        assert list(cards) == [first, second]
        [message] = {card.message for card in cards.values()}
        assert (message.id, message.channel_id, message.thread_id, message.path) == ("42", "5", None, "5/42")
        assert (message.posted_at, message.edited_at, message.is_gone) == (1_000.0, 1_000.0, False)
        for place, card in enumerate(cards.values()):
            assert (card.place, card.shown.count) == (place, 1)
            assert message.embeds[place] == card.base
            assert (card.formatter, card.masker) == (SETTINGS.formatter, SETTINGS.masker)

    @pytest.mark.parametrize(
        "body",
        [
            *(None, [], "42", {}, {"id": "42"}, {"channel_id": "5"}, {"id": 42, "channel_id": "5"}),
            *({"id": "42", "channel_id": None}, {"id": "../42", "channel_id": "5"}, {"id": "", "channel_id": ""}),
        ],
    )
    def test_a_message_without_a_known_place_is_not_live(self, body: object) -> None:
        """A proxy may have answered. The next record has a new card."""
        assert post(entry(), body=body) == {}

    def test_a_record_of_no_incident_is_not_live(self) -> None:
        """It shares the message of one that is."""
        alone, live = Entry(make("alone")), entry()
        cards = post(alone, live)
        assert list(cards) == [live]
        assert cards[live].place == 1

    @pytest.mark.parametrize(
        "changes", [{"thread_id": "5"}, {"payload": {"thread_name": "Errors"}}, {"thread_id": "9"}]
    )
    def test_a_message_in_a_thread_names_the_thread(self, changes: dict[str, Any]) -> None:
        """Discord does not find it otherwise. The channel of a message in a thread is the thread."""
        [card] = post(entry(), **changes).values()
        assert card.message.thread_id == "5"

    def test_a_file_of_the_message_goes_on(self) -> None:
        """It has the text of a card that is cut, which no edit has to add."""
        long = entry("x" * 5_000)
        [card] = post(long).values()
        assert (card.message.log_id, card.unfiled) == ("77", "")
        assert card.message.log.endswith(b"x" * 5_000 + b"\n")
        [card] = post(entry()).values()
        assert (card.message.log, card.message.log_id) == (b"", None)
        assert card.unfiled.endswith("no stock\n")

    def test_a_file_without_an_id_is_not_lost(self) -> None:
        """An edit removed it, since it did not name it, and had further texts only."""
        [card] = post(entry("x" * 5_000), body={"id": "42", "channel_id": "5"}).values()
        assert card.message.log_id is None
        edit = Edit(card.message, [Change(card, card.shown, None, ["further\n"])])
        assert edit.payload["attachments"] == []
        assert edit.files[0].content.endswith(b"x\nfurther\n")

    def test_another_kind_of_formatter_has_standard_parts(self) -> None:
        """Only an `EmbedFormatter` says how a card goes on."""
        [card] = post(entry(settings=CardSettings(logging.Formatter("%(message)s")))).values()
        assert type(card.formatter) is EmbedFormatter

    def test_without_drafts_there_are_no_cards(self) -> None:
        """A message of lines is not edited."""
        message = Message({"embeds": [{"title": "x"}]})
        assert live_cards(message, {}, Response(200, {}, POSTED), 1_000.0) == {}


def editing(*others: FrozenRecord, is_new: bool = True) -> Entry:
    """Return an entry that edits the card of an incident, on which others are counted."""
    waiting = entry("second")
    part = part_of(waiting)
    [part.card] = post(entry("first")).values()
    part.incident.books.add(1.6e9, ("web", 1), 6)
    part.is_new = is_new
    for other in others:
        part.books.add(other.created, other.source)
        part.others.append(other)
        part.newest = other
    return waiting


class TestChangeOf:
    """An entry changes the card of its incident."""

    def test_the_card_shows_the_newest_record_and_all_numbers(self) -> None:
        """The numbers are those that were told, and those that wait."""
        waiting = editing(make("third", created=1.7e9 + 60))
        change = change_of(waiting, "1")
        assert (change.incident.count, change.incident.first, change.incident.last) == (8, 1.6e9, 1.7e9 + 60)
        assert change.card is part_of(waiting).card
        assert change.base
        assert change.base["description"].startswith("third")
        # The edit adds the numbers.
        assert "since" not in change.base["description"]

    @pytest.mark.parametrize(("is_new", "texts"), [(True, ["second", "third"]), (False, ["third"])])
    def test_only_texts_that_were_not_told_go_to_the_file(self, *, is_new: bool, texts: list[str]) -> None:
        """A repeat of an earlier text is counted."""
        change = change_of(editing(make("third"), is_new=is_new), "1")
        assert [text.split()[-1] for text in change.texts] == texts
        assert all(text.endswith("\n") for text in change.texts)

    def test_an_entry_without_records_keeps_the_text(self) -> None:
        """It says only that the incident is over, or where it goes on."""
        waiting = editing()
        part = part_of(waiting)
        waiting.counts, part.books, part.is_quiet = Counts(0), type(part.books)(), True
        change = change_of(waiting, "1")
        assert (change.base, change.texts, change.incident.is_quiet) == (None, (), True)
        part.is_quiet, part.continued = False, "5/43"
        assert change_of(waiting, "1").incident.link == "https://discord.com/channels/1/5/43"
        assert change_of(waiting, None).incident == part_of(waiting).card.shown._replace(is_continued=True)  # type: ignore[union-attr]

    def test_a_formatter_that_fails_does_not_end_the_count(self) -> None:
        """The standard card says so in its footer, as that of a post does."""

        class Broken(EmbedFormatter):
            def embed(self, record: FrozenRecord) -> Any:
                raise KeyError(record.message)

        change = change_of(editing(make("third", CardSettings(Broken()))), "1")
        assert change.base
        assert change.base["footer"]["text"].endswith("Broken failed: KeyError")

    def test_an_entry_that_is_posted_changes_nothing(self) -> None:
        """The delivery asks only for those that edit."""
        for other in (entry(), Entry(make("alone"))):
            with pytest.raises(ValueError, match="the entry edits no card"):
                change_of(other, "1")
