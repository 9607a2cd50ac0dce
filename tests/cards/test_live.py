"""Edits: how a message with live cards changes, and how its file grows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import SecretMasker
from discord_logging._cards import live
from discord_logging._cards.embeds import EmbedFormatter, embed_length
from discord_logging._cards.live import Change, Edit, LiveCard, LiveMessage, cut_file, decorate
from discord_logging._cards.progress import ROOM
from discord_logging._discord import lengths
from discord_logging._records.incident import Incident

MASKER = SecretMasker()
ONE, MANY = Incident(1, 1e9, 1e9), Incident(5_000, 1e9, 1e9 + 60)


class Live(LiveMessage):
    """A message with its live cards."""

    cards: list[LiveCard]


def message(*embeds: Any, **state: Any) -> Live:
    """Return a message whose embeds are all live cards."""
    shown: list[Any] = list(embeds) or [{"title": "one", "description": "first"}]
    made = Live("1", "2", None, 1_000.0, shown, **state)
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


class TestOverrides:
    """A formatter may change each part of a live card, and break none."""

    @pytest.mark.parametrize("name", ["live_title", "progress", "live_color"])
    @pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), AssertionError()])
    def test_an_override_that_raises_leaves_the_standard_parts(self, name: str, error: Exception) -> None:
        """The number stands once: a title that was made before the error had it twice."""

        def fail(*_: object) -> object:
            raise error

        formatter = EmbedFormatter()
        setattr(formatter, name, fail)
        card = decorate({"title": "one", "color": 7}, MANY._replace(is_quiet=True), formatter, MASKER)
        assert (card["title"], card["color"]) == ("×5,000 one", 0x95A5A6)  # noqa: RUF001 - the sign for times
        assert card["description"].startswith("-# ✅ quiet since")

    @pytest.mark.parametrize("text", [b"x", [], {}, 5, True])
    def test_only_a_text_is_a_title(self, text: object) -> None:
        """Anything else is a fault of the override."""
        formatter = EmbedFormatter()
        setattr(formatter, "live_title", lambda *_: text)  # noqa: B010 - a method
        assert decorate({"title": "one"}, MANY, formatter, MASKER)["title"] == "×5,000 one"  # noqa: RUF001

    @pytest.mark.parametrize(("color", "shown"), [(-1, 0xFFFFFF), (0x1FF0000, 0xFF0000), (True, 1), (0, 0)])
    def test_a_colour_has_three_bytes(self, color: int, shown: int) -> None:
        """Discord refuses any other number."""
        formatter = EmbedFormatter()
        setattr(formatter, "live_color", lambda *_: color)  # noqa: B010 - a method
        made = decorate({"title": "one"}, MANY, formatter, MASKER)["color"]
        assert (type(made), made) == (int, shown)

    @pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\u2028b", " a\nb\n"])
    def test_a_title_is_one_line(self, text: str) -> None:
        """The titles of other cards are as well."""
        formatter = EmbedFormatter()
        setattr(formatter, "live_title", lambda *_: text)  # noqa: B010 - a method
        assert decorate({"title": "one"}, MANY, formatter, MASKER)["title"] == "a b"

    def test_long_lines_are_cut(self) -> None:
        """All of them were left out without a word."""
        formatter = EmbedFormatter()
        setattr(formatter, "progress", lambda *_: "busy " * 200)  # noqa: B010 - a method
        card = decorate({"description": "text"}, MANY, formatter, MASKER)
        assert card["description"].startswith("text\nbusy busy ")
        assert card["description"].endswith("busy…")
        assert len(card["description"]) <= len("text\n") + ROOM

    def test_no_lines_change_nothing_but_the_title(self) -> None:
        """An override may want none."""
        formatter = EmbedFormatter()
        setattr(formatter, "progress", lambda *_: " \n ")  # noqa: B010 - a method
        assert decorate({"description": "text"}, MANY, formatter, MASKER)["description"] == "text"
        assert "description" not in decorate({}, MANY, formatter, MASKER)

    def test_the_standard_parts_are_silent_for_one_record(self) -> None:
        """A further card begins with one record, and gives its reason."""
        card = decorate({"title": "one"}, ONE._replace(reason="again after 2 h"), EmbedFormatter(), MASKER)
        assert (card["title"], card["description"]) == ("one", "-# **again after 2 h**")

    @given(st.text(max_size=600), st.text(max_size=600), st.integers(), st.text(max_size=300), st.text(max_size=5_000))
    def test_any_texts_keep_the_limits(self, title: str, lines: str, color: int, old: str, text: str) -> None:
        """Discord refuses a message for a single character too much."""
        formatter = EmbedFormatter()
        base: Any = {"title": old[: lengths.TITLE], "description": text[: lengths.DESCRIPTION]}
        for name, result in {"live_title": title, "progress": lines, "live_color": color}.items():
            setattr(formatter, name, lambda *_, result=result: result)
        card = decorate(base, MANY, formatter, MASKER)
        assert len(card["title"]) <= lengths.TITLE
        assert len(card["title"].splitlines()) <= 1 or card["title"] == base["title"]
        assert len(card["description"]) <= min(lengths.DESCRIPTION, len(base["description"]) + 1 + ROOM)
        assert card["description"].startswith(base["description"].rstrip("\n"))
        assert 0 <= card["color"] <= lengths.COLOR
        json.dumps([card["color"]], allow_nan=False)


class TestPayload:
    """The request of an edit is complete, whatever happened before."""

    def test_an_edit_without_texts_leaves_the_files_alone(self) -> None:
        """Without `attachments`, Discord keeps them."""
        made = message(log=b"first\n", log_id="77", sealed=["70"])
        edit = Edit(made, [Change(made.cards[0], MANY)])
        assert edit.payload.keys() == {"embeds", "allowed_mentions"}
        assert (edit.payload["allowed_mentions"], edit.files) == ({"parse": []}, ())
        edit.apply(["70", "77"], 1_005.0)
        assert (made.log, made.log_id, made.sealed) == (b"first\n", "77", ["70"])
        edit.apply([], 1_006.0)
        assert (made.log_id, made.sealed) == ("77", ["70"])

    def test_an_edit_that_is_made_again_is_the_same(self) -> None:
        """It counts nothing twice, although the first one may have arrived."""
        made = message(log=b"first\n", log_id="77")
        made.cards[0].unfiled = "own\n"
        change = Change(made.cards[0], MANY, {"title": "new"}, ["second\n"])
        first, second = Edit(made, [change]), Edit(made, [change])
        assert (first.payload, first.files) == (second.payload, second.files)
        assert (made.log, made.cards[0].unfiled, made.cards[0].shown) == (b"first\n", "own\n", ONE)
        for edit in (first, second):
            edit.apply(["78"], 1_005.0)
            assert (made.log, made.log_id, made.cards[0].shown) == (b"first\nown\nsecond\n", "78", MANY)

    def test_the_texts_of_all_cards_go_to_one_file(self) -> None:
        """Each card without a new text keeps its own for later."""
        made = message({"title": "one"}, {"title": "two"}, {"title": "three"})
        for card in made.cards:
            card.unfiled = f"{card.base['title']}\n"
        edit = Edit(made, [Change(card, MANY, None, [f"more of {card.place}\n"]) for card in made.cards[:2]])
        assert [file.content for file in edit.files] == [b"one\nmore of 0\ntwo\nmore of 1\n"]
        edit.apply(["5"], 1_005.0)
        assert [card.unfiled for card in made.cards] == ["", "", "three\n"]

    def test_a_file_of_a_megabyte_is_sealed(self) -> None:
        """A byte less, and it grows."""
        for size, sealed in [(999_999, []), (1_000_000, ["77"])]:
            made = message(log=b"x" * size, log_id="77")
            edit = Edit(made, [Change(made.cards[0], MANY, None, ["y"])])
            assert [each["id"] for each in edit.payload["attachments"]] == sealed
            assert edit.files[0].content.endswith(b"y")
            assert edit.files[0].filename == f"records-{len(sealed) + 1}.txt"

    def test_a_single_text_that_is_too_large_is_cut(self) -> None:
        """Its file is sealed by the next one."""
        made = message()
        edit = Edit(made, [Change(made.cards[0], MANY, None, ["z" * (lengths.FILE_BYTES + 1)])])
        assert len(edit.files[0].content) <= lengths.FILE_BYTES
        edit.apply(["5"], 1_005.0)
        assert Edit(made, [Change(made.cards[0], MANY, None, ["y"])]).payload["attachments"] == [{"id": "5"}]

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.booleans()), min_size=1, max_size=30))
    def test_no_text_is_lost_between_files(self, steps: list[tuple[int, int, bool]]) -> None:
        """A fake Discord has all texts once and in their order, whether edits arrive, or fail and are made again."""
        made, channel, told = message(), dict[str, bytes](), b""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live, "_MAX_LOG", 40)
            for number, (texts, size, arrives) in enumerate(steps):
                new = [f"{number}-{each}{'x' * size}\n" for each in range(texts)]
                change = Change(made.cards[0], MANY, None, new)
                if not arrives:
                    Edit(made, [change])
                edit = Edit(made, [change])
                if edit.files:
                    kept = {each["id"]: channel[each["id"]] for each in edit.payload["attachments"]}
                    channel = {**kept, str(number): edit.files[0].content}
                edit.apply(list(channel), 1_000.0 + number)
                told += "".join(new).encode()
                assert b"".join(channel.values()) == told
                assert [*made.sealed, made.log_id] == [*channel] or not channel

    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4_096), st.integers(1, 10**9)), max_size=12))
    def test_a_message_never_grows_too_long(self, changes: list[tuple[int, int, int]]) -> None:
        """All embeds of a message have 6,000 characters, whatever their cards would like to show."""
        made = message({"title": "a"}, {"title": "b", "description": "c" * 900}, {"title": "d"})
        for place, size, count in changes:
            incident = MANY._replace(count=count, reason="again after 2 h")
            edit = Edit(made, [Change(made.cards[place], incident, {"title": "new", "description": "x" * size})])
            edit.apply([], 1_005.0)
            assert sum(map(embed_length, made.embeds)) <= lengths.EMBEDS_TOTAL
            assert made.cards[place].shown.count == count


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 8_000_000))
def test_no_edit_follows_within_five_seconds(age: float, more: float, size: int) -> None:
    """An older message, and one with a larger file, never has to be edited sooner."""
    wait = [
        made.due_at - made.edited_at
        for made in (
            message(edited_at=1_000.0 + age),
            message(edited_at=1_000.0 + age + more),
            message(edited_at=1_000.0 + age, log=bytes(size)),
        )
    ]
    assert wait[0] >= 4.999
    assert min(wait[1:]) >= wait[0] - 1e-6
