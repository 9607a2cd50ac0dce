"""Text is cleaned, and webhook tokens in it are masked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging._text import sanitize
from discord_logging._text.markdown import code_block, escape_markdown
from discord_logging._text.sanitize import clean, mask_own_tokens, mask_token, on_one_line, register_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ZERO_WIDTH = "\u200b"
SCOTLAND, WALES = (
    f"🏴{''.join(chr(0xE0000 + ord(letter)) for letter in letters)}\U000e007f" for letters in ("gbsct", "gbwls")
)
TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
MARKS = st.text(st.sampled_from("\\`<@1\t \n\x1b[0m\x00\ud800\u200bé🔥"), max_size=60)
INVISIBLE_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
EVEN_SURROGATES = st.text(st.characters()) | MARKS


def is_clean(text: str) -> bool:
    """Tell whether Discord would show `text` unchanged."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)


class TestMaskToken:
    """The token of a webhook URL is a password and gets masked."""

    @pytest.mark.parametrize(
        "text",
        [
            URL,
            f"see {URL}/slack?wait=true.",
            f'POST /api/v10/webhooks/1/{TOKEN}?wait=true HTTP/1.1" 204',
            f"{URL} and {URL}",
            f"discordapp.com/api/webhooks/1/{TOKEN[:5]}",
        ],
    )
    def test_only_the_token_is_masked(self, text: str) -> None:
        """The rest of the URL still shows which webhook it is."""
        masked = mask_token(text)
        assert TOKEN[:5] not in masked
        assert masked == re.sub(r"(?<=/)aB3xK[\w-]*", "***", text)

    @pytest.mark.parametrize("text", ["", "webhooks", "webhooks/", "webhooks/x/y", "webhooks/1/", "hooks/1/abc"])
    def test_other_text_stays_unchanged(self, text: str) -> None:
        """A text that does not look like a webhook's URL is not touched."""
        assert mask_token(text) == text


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text).replace("/", r"\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text).replace("/", r"\/")),
    "escaped for a script": lambda text: text.replace("/", r"\u002F").replace("-", r"\u002D"),
    "HTML": lambda text: text.replace("/", "&#x2F;"),
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "wholly percent-encoded": lambda text: quote(text, safe="").replace("-", "%2d").replace("_", "%5F"),
    "Markdown": lambda text: re.sub(r"([_/.-])", r"\\\1", text),
    "our Markdown": escape_markdown,
    "Markdown in JSON": lambda text: json.dumps(re.sub(r"([_/.-])", r"\\\1", text)),
}
"""The ways in which programs write a text."""


class TestSpellings:
    """The token is masked however a program writes it."""

    @pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
    def test_a_url_in_any_spelling(self, spell: Callable[[str], str]) -> None:
        """The token of any webhook is masked, and the text around the URL stays."""
        masked = mask_token(f"at {spell(URL)}, 3 times")
        assert TOKEN[:9] not in masked
        assert "StUv" not in masked
        assert re.fullmatch(r"at .*webhooks.*1111.*\*\*\*\W*, 3 times", masked)

    @pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
    def test_our_own_token_in_any_spelling(self, spell: Callable[[str], str]) -> None:
        """A registered token is masked alone, between any neighbours."""
        register_token(TOKEN)
        assert mask_token(f"{spell('a=')}{spell(TOKEN)}b").count("***") == 1
        assert "StUv" not in mask_token(f"{spell('a=')}{spell(TOKEN)}{spell(TOKEN)}")
        assert mask_own_tokens(f"<{TOKEN}>") == "<***>"

    def test_another_token_alone_stays(self) -> None:
        """Nobody knows that it is one."""
        register_token(TOKEN)
        assert mask_token(TOKEN[::-1]) == TOKEN[::-1]

    @pytest.mark.parametrize("length", range(10, len(TOKEN)))
    def test_a_cut_within_our_own_token(self, length: int) -> None:
        """Text is often cut before it is cleaned, and so its beginning is masked too."""
        register_token(TOKEN)
        assert mask_token(f"token {TOKEN[:length]}… 7 more") == "token ***… 7 more"

    @pytest.mark.parametrize("token", ["content", "a" * 19, ""])
    def test_a_token_that_may_be_a_word_stays(self, token: str) -> None:
        """A server other than Discord's may give any text for a token."""
        register_token(token)
        assert mask_token(f"{token} {URL[:20]}") == f"{token} {URL[:20]}"

    @pytest.mark.parametrize("token", ["the-token-of-our-chat", "-" * 20, "_.-" * 30, "." + "a" * 70])
    def test_a_token_of_another_server_is_masked_as_a_whole(self, token: str) -> None:
        """Its characters may be chosen by hand, and its beginning may be a word."""
        register_token(token)
        assert mask_token(f"<{token}> the-token") == "<***> the-token"

    @pytest.mark.parametrize(
        "part", ["\\", "%25", "webhooks/1/", "webhooks", "webhooks\\", "%2F", TOKEN[:9], "_", "\\_"]
    )
    def test_masking_takes_linear_time(
        self, part: str, takes_linear_time: Callable[[Callable[[str], object], str, str], bool]
    ) -> None:
        """A hostile text, however it is built, must not stop the delivery."""
        register_token(TOKEN)
        register_token("_-" + TOKEN)
        short = f"webhooks/1/a{TOKEN}" + part * (60_000 // len(part))
        assert takes_linear_time(mask_token, short, short * 4)


class TestClean:
    """Cleaning removes the characters that Discord cannot show."""

    @pytest.mark.parametrize(
        ("text", "cleaned"),
        [
            ("a\tb\nc", "a\tb\nc"),
            ("a\r\nb\rc\n\rd", "a\nb\nc\n\nd"),
            ("a\x00b\x07c\x0bd\x0ce\x7ff\x85g\x9bh", "abc\nd\nef\ngh"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b[38;2;1;2;3mtrue\x1b[m \x1b[2K\x1b[?25l\x1b[1 q", "true "),
            ("\x1b]0;window title\x07text", "text"),
            ("\x1b]8;;https://x.y\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bMup \x1b=keypad", "up =keypad"),
            ("\x1b[31", "[31"),
            ("\x1b", ""),
            ("lone \ud800, whole 🔥", "lone ?, whole 🔥"),
            (f"at {URL}", "at https://discord.com/api/webhooks/111111111111111111/***"),
            (f"{URL[:-9]}\x00{URL[-9:]}", "https://discord.com/api/webhooks/111111111111111111/***"),
            (f"web\x1b[1mhooks/1\x1b[0m/{TOKEN}", "webhooks/1/***"),
        ],
    )
    def test_examples(self, text: str, cleaned: str) -> None:
        """Terminal codes, control characters, lone surrogates and tokens go; readable text stays."""
        assert clean(text) == cleaned

    @pytest.mark.parametrize(
        "code",
        [
            *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180E, 0x200B, 0x3164, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0),
            *range(0x202A, 0x202F),
            *range(0x2060, 0x2070),
            *range(0xFFF0, 0xFFFC),
            *(0x1BCA0, 0x1D173, 0xE0001, 0xE0020, 0xE007F, 0xE0100, 0xE01EF),
        ],
    )
    def test_hidden_characters_are_shown_by_their_code(self, code: int) -> None:
        """The reader notices a name that looks like another, or that turns around the text behind it."""
        assert clean(f"ro{chr(code)}ot\n{chr(code)}") == f"ro<U+{code:04X}>ot\n<U+{code:04X}>"

    @pytest.mark.parametrize(
        "text",
        [
            "می\u200cخو क्\u200dष",  # Persian and Hindi
            "שלום, عالم",
            "שלום\u200f 123 مرحبا\u061c(بالعالم)!",
            "Donau\u00addampf",
            "辻\U000e0100 ᠠ\u180b 〰\ufe0f 1\ufe0f\u20e3 ©\ufe0e ⠀⠁",
            "👩\u200d👩\u200d👧 ❤\ufe0f 🏳\ufe0f\u200d🌈 👍🏽 🇳🇴",
            SCOTLAND,
            f"{SCOTLAND}{SCOTLAND} {WALES}\n",
        ],
    )
    def test_scripts_and_emoji_stay(self, text: str) -> None:
        """The two joiners, variation selectors and the letters of a flag belong to visible text."""
        assert clean(text) == text

    @pytest.mark.parametrize("mark", "\u00ad\u061c\u200c\u200d\u200e\u200f")
    def test_a_mark_of_a_language_is_left_out_where_no_letter_is_before_it(self, mark: str) -> None:
        """Discord may strip it, and what stands behind it would begin a line; beside letters it belongs to a word."""
        assert clean(f"{mark}# a{mark}b{mark}{mark} 1{mark}. <{mark}@1>") == f"# a{mark}b{mark} 1. <@1>"

    def test_a_sign_has_one_variant(self) -> None:
        """More of them could hide a text."""
        assert clean("❤\ufe0f\ufe0f\ufe01a\ufe0f") == "❤\ufe0f<U+FE0F><U+FE01>a<U+FE0F>"

    def test_a_flag_hides_no_message(self) -> None:
        """The hidden letters of a flag are few, are lower case, and stand behind a black flag."""
        hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "abcdefgh")
        shown = "".join(f"<U+{ord(letter):04X}>" for letter in hidden)
        assert clean(f"🏴{hidden}") == f"🏴{hidden[:6]}{shown[-18:]}"
        assert clean(f"🔥{hidden}") == f"🔥{shown}"

    @given(
        st.text(st.sampled_from(f"`{ZERO_WIDTH}a1❤\n\u200d\u200e\u202e\ufe0f{SCOTLAND}")),
        st.integers(0, 60),
        st.integers(0, 60),
    )
    @example(f"```{ZERO_WIDTH}", 0, 0)
    def test_clean_text_that_was_cut_stays_unchanged(self, text: str, end: int, limit: int) -> None:
        """Cards are cleaned, then cut to their limits, and then cleaned again."""
        cut = clean(text)[:end]
        assert clean(cut) == cut
        for keep_end in (False, True):
            block = code_block(text * 3, 20 + limit, keep_end=keep_end)
            assert clean(block) == block

    @pytest.mark.parametrize("code", ["\x1b]", "\x1b]0;x\nline\x07", "\x1b[", "\x1b]8;;\x1b["])
    def test_a_code_without_an_end_hides_nothing(self, code: str) -> None:
        """A stranger's name must not swallow the text that the program wrote behind it."""
        assert clean(f"failed login for {code} from 10.0.0.1").endswith("rom 10.0.0.1")

    @given(EVEN_SURROGATES)
    def test_cleaning_once_is_enough_for_any_text(self, text: str) -> None:
        """Cleaning does not change clean text."""
        assert is_clean(clean(text))
        assert clean(clean(text)) == clean(text)

    @given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.just("\n")))
    def test_text_without_control_characters_stays_unchanged(self, text: str) -> None:
        """No character is lost that can be seen. Some that cannot be seen count as letters, such as U+3164."""
        assert clean(text) == re.sub(
            f"[{INVISIBLE_LETTERS}]", lambda match: f"<U+{ord(match[0]):04X}>", text
        ) or re.search(f"[{VARIANTS}]", text)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_name_is_on_one_line(line_break: str) -> None:
    """Each line break becomes a space."""
    assert on_one_line(f"a{line_break}b{line_break}") == "a b"


def test_a_text_of_little_but_hidden_characters_loses_them() -> None:
    """Their codes would be eight times as long as the text, and would take a second for a megabyte."""
    assert clean("a\u202e " * 5_000) == "a " * 5_000
    assert clean("\u202ea") == "<U+202E>a"


def test_a_long_text_is_cleaned_like_a_short_one() -> None:
    """A long text is cleaned in portions, so that other threads get their turn."""
    for piece in (
        *("a\r\n", "\x1b[31mred\x1b[0m\x00\n", "x\u202ey z\n", "abc\x07"),
        *("one line for all ", "ab\u200e", "ü\r\r", "\x1b[1mbold\x1b[0m ", "\x1b]0;title\x1b\\x", "日本 \u202e ok "),
    ):
        assert clean(piece * 9_000) == clean(piece) * 9_000


@pytest.mark.parametrize(
    "piece", ["\u200b", "\u202e ", "日本", "\r\n", "\r", "\x1b", "\x1b]", "\x1b\\", "\x1b[", "x\u0301", "a"]
)
def test_no_portion_holds_up_other_threads(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text without line feeds was cleaned as a whole, which took a fifth of a second for a megabyte."""
    portions: list[str] = []

    def take(texts: Iterable[str]) -> list[str]:
        portions.extend(texts)
        return portions

    monkeypatch.setattr(sanitize, "yield_gil_between", take)
    text = piece * 50_000
    clean(text)
    assert "".join(portions) == text
    assert max(map(len, portions)) <= 10_000
    assert len(portions) < len(text) / 1_000


def test_broken_fences_survive_however_many_there_are() -> None:
    """A code block of a card consists of fences at worst."""
    block = code_block("`" * 4_000, 4_096)
    assert clean(block) == block
