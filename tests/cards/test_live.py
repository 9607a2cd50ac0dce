"""Edits: how a message with live cards changes, and how its file grows."""

from __future__ import annotations

from typing import Any

import pytest

from discord_logging import SecretMasker
from discord_logging._cards import live
from discord_logging._cards.embeds import EmbedFormatter, embed_length
from discord_logging._cards.live import Change, Edit, LiveCard, LiveMessage, cut_file, decorate
from discord_logging._discord import lengths
from discord_logging._records.incident import Incident

MASKER = SecretMasker()
ONE, MANY = Incident(1, 1e9, 1e9), Incident(5_000, 1e9, 1e9 + 60)


def message(*embeds: Any, **state: Any) -> LiveMessage:
    """Return a message whose embeds are all live cards."""
    shown: list[Any] = list(embeds) or [{"title": "one", "description": "first"}]
    made = LiveMessage("1", "2", None, 1_000.0, shown, **state)
    made.cards = [LiveCard(made, place, each, ONE, EmbedFormatter(), MASKER) for place, each in enumerate(made.embeds)]
    return made


class TestDecorate:
    """A card shows what its incident adds."""

    def test_a_record_that_came_once_stays_as_it_is(self) -> None:
        """Nobody sees that its card is live."""
        base: Any = {"title": "one", "color": 5}
        assert decorate(base, ONE, EmbedFormatter(), MASKER) is base

    def test_many_records_have_a_number_and_lines(self) -> None:
        """The base stays unchanged for the next edit."""
        base: Any = {"title": "one", "description": "text", "color": 5}
        card = decorate(base, MANY, EmbedFormatter(), MASKER)
        assert card["title"] == "×5,000 one"  # noqa: RUF001 - the sign for times
        assert card["description"].startswith("text\n-# since ")
        assert base == {"title": "one", "description": "text", "color": 5}

    def test_a_quiet_one_is_calm(self) -> None:
        """Its colour is grey."""
        card = decorate({"color": 0xFF0000}, MANY._replace(is_quiet=True), EmbedFormatter(), MASKER)
        assert card["color"] == 0x95A5A6

    @pytest.mark.parametrize("name", ["live_title", "progress", "live_color"])
    @pytest.mark.parametrize("result", [None, 5.5, object()])
    def test_a_failing_override_leaves_the_standard_parts(self, name: str, result: object) -> None:
        """The count is shown in any case."""
        formatter = EmbedFormatter()
        setattr(formatter, name, lambda *_: result)
        card = decorate({"title": "one", "color": 7}, MANY, formatter, MASKER)
        assert (card["title"], card["color"]) == ("×5,000 one", 7)  # noqa: RUF001 - the sign for times
        assert "since" in card["description"]

    def test_a_program_that_ends_is_not_held_up(self) -> None:
        """An override may call `sys.exit`, which is no fault of the card."""
        formatter = EmbedFormatter()

        def leave(*_: object) -> str:
            raise SystemExit

        setattr(formatter, "progress", leave)  # noqa: B010 - a method
        with pytest.raises(SystemExit):
            decorate({"title": "one"}, MANY, formatter, MASKER)

    def test_overrides_show_no_secrets(self) -> None:
        """Their texts are masked as all others are."""
        secret = "hunter" + "2" * 8
        formatter = EmbedFormatter()
        setattr(formatter, "live_title", lambda *_: f"password={secret}")  # noqa: B010 - a method
        setattr(formatter, "progress", lambda *_: f"password={secret}")  # noqa: B010 - a method
        assert secret not in str(decorate({"title": "one"}, MANY, formatter, MASKER))

    def test_long_texts_keep_the_limits(self) -> None:
        """Lines that have no room are left out."""
        base: Any = {"title": "t" * lengths.TITLE, "description": "d" * lengths.DESCRIPTION}
        card = decorate(base, MANY, EmbedFormatter(), MASKER)
        assert len(card["title"]) == lengths.TITLE
        assert card["description"] == base["description"]


class TestEdit:
    """An edit says how the whole message is to look."""

    def test_other_cards_stay(self) -> None:
        """Discord replaces all embeds of a message."""
        made = message({"title": "one"}, {"title": "two"})
        edit = Edit(made, [Change(made.cards[1], MANY, {"title": "new"})])
        assert [each.get("title") for each in edit.payload["embeds"]] == ["one", "×5,000 new"]  # noqa: RUF001 - the sign
        assert made.embeds[1] == {"title": "two"}
        edit.apply([], 1_005.0)
        assert made.cards[1].base == {"title": "new"}
        assert (made.embeds[1]["title"], made.edited_at) == ("×5,000 new", 1_005.0)  # noqa: RUF001 - the sign

    def test_a_card_without_room_keeps_its_text(self) -> None:
        """The number changes all the same; the file has the newer text."""
        made = message({"title": "one", "description": "d" * 3_000}, {"title": "two", "description": "e" * 2_000})
        edit = Edit(made, [Change(made.cards[1], MANY, {"title": "new", "description": "f" * 4_000})])
        assert sum(map(embed_length, edit.payload["embeds"])) <= lengths.EMBEDS_TOTAL
        assert edit.payload["embeds"][1]["title"] == "×5,000 two"  # noqa: RUF001 - the sign for times

    def test_a_card_that_cannot_grow_stays(self) -> None:
        """Where nothing fits, the message is as it was."""
        made = message({"description": "d" * 4_000}, {"title": "two", "description": "e" * 1_990})
        edit = Edit(made, [Change(made.cards[1], MANY, {"description": "f" * 4_000})])
        assert edit.payload["embeds"] == made.embeds

    def test_the_first_text_comes_along_with_others(self) -> None:
        """The file has all, or there is none."""
        made = message()
        made.cards[0].unfiled = "first\n"
        assert Edit(made, [Change(made.cards[0], MANY)]).files == ()
        edit = Edit(made, [Change(made.cards[0], MANY, None, ["second\n"])])
        assert [file.content for file in edit.files] == [b"first\nsecond\n"]
        assert edit.payload["attachments"] == []
        edit.apply(["77"], 1_005.0)
        assert (made.log_id, made.cards[0].unfiled) == ("77", "")
        again = Edit(made, [Change(made.cards[0], MANY, None, ["third\n"])])
        assert [file.content for file in again.files] == [b"first\nsecond\nthird\n"]

    def test_a_large_file_is_followed_by_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The finished one stays in the message by its id."""
        monkeypatch.setattr(live, "_MAX_LOG", 10)
        made = message(log=b"12345678", log_id="77")
        edit = Edit(made, [Change(made.cards[0], MANY, None, ["abc"])])
        assert (edit.payload["attachments"], edit.files) == ([{"id": "77"}], (("records-2.txt", b"abc"),))
        edit.apply(["77", "78"], 1_005.0)
        assert (made.sealed, made.log, made.log_id) == (["77"], b"abc", "78")

    def test_a_message_becomes_full(self) -> None:
        """Its texts go on in another message then."""
        assert not message(sealed=[str(number) for number in range(8)]).is_full
        assert message(sealed=[str(number) for number in range(9)]).is_full

    def test_files_that_discord_does_not_name_are_sent_anew(self) -> None:
        """The answer may have been cut."""
        made = message()
        edit = Edit(made, [Change(made.cards[0], MANY, None, ["abc"])])
        edit.apply([], 1_005.0)
        assert Edit(made, [Change(made.cards[0], MANY, None, ["def"])]).files[0].content == b"abcdef"


def test_edits_become_rarer() -> None:
    """With the age of the message, and with the size of its file."""
    assert message().due_at == 1_005.0
    assert message(edited_at=4_600.0).due_at == 4_660.0
    assert message(log=b"x" * 1_000_000).due_at == 1_020.0


def test_a_file_is_cut_to_the_limit() -> None:
    """Its end says so."""
    content = cut_file("é".encode() * lengths.FILE_BYTES)
    assert len(content) <= lengths.FILE_BYTES
    assert content.decode().endswith("… cut: the record has 16,000,000 bytes\n")
    assert cut_file(b"abc") == b"abc"
