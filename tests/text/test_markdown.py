"""Text is escaped, fenced and cut for Discord's Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discord_logging._text.markdown import break_fences, code_block, escape_markdown, plain, shorten
from discord_logging._text.sanitize import clean, mask_token, register_token

if TYPE_CHECKING:
    from collections.abc import Callable

ZERO_WIDTH = "\u200b"
TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
HUGE = 25_000
ADDRESS = r"<https?://[^\s<>]+>|https?://[^\s<]+[^\s<.,:;\"'\])]"
"""An address as Discord's client recognises it."""

MARKS = st.text(st.sampled_from("\\*_~|`[]<>@#:/at-.1 \n\t\x1b\x00m\ud800é🔥"), max_size=60)
PIECES = st.lists(st.sampled_from(["https://a.b", "http://", "<@1>", "```", "\x1b[1m", "webhooks/1/x", " ", "\n", "_"]))
AWKWARD = MARKS | PIECES.map("".join)
ANY_TEXT = st.text() | AWKWARD
EVEN_SURROGATES = st.text(st.characters()) | AWKWARD

WORST = [
    "\x1b[" + "0" * HUGE,
    "\x1b[" * (HUGE // 2),
    "\x1b[" + " " * HUGE,
    "\x1b]" + "0" * HUGE,
    "\x1b]0" * (HUGE // 3),
    " \t" * (HUGE // 2),
    "\n" * HUGE,
    "1" * HUGE,
    "1" * HUGE + "\n" + " " * HUGE + "x",
    "https://" + "a" * HUGE,
    "http" * (HUGE // 4),
    "<" * HUGE,
    "\\" * HUGE,
    "`" * HUGE,
    "webhooks/" * (HUGE // 9),
    "webhooks/" + "1" * HUGE,
    "webhooks/1/" * (HUGE // 11),
    "\ud800" * HUGE,
    "\u200b" * HUGE,
    "`\u200b" * (HUGE // 2),
    "a\u202e" * (HUGE // 2),
    "🏴\U000e0061" * (HUGE // 2),
    ":a" * (HUGE // 2),
    ":" + "a" * HUGE,
    "<a" * (HUGE // 2),
    "<" + "a" * HUGE,
    "@\u200e" * (HUGE // 2),
    "http://a" * (HUGE // 8) + "<",
    "http://a" + "." * HUGE + "`",
    "<http://a" * (HUGE // 9),
    "\u3000\u2800" * (HUGE // 2),
    "a\u200e" * (HUGE // 2),
    "\u200e" * HUGE,
    "\u2028" * HUGE,
    "❤\ufe0f" * (HUGE // 2),
    "\x1b[" + "0" * HUGE + " " * HUGE,
]


def unescape(text: str) -> str:
    """Return the text that Discord shows for escaped text: it leaves addresses alone and drops escaping backslashes."""
    return re.sub(f"({ADDRESS})" r"|\\([^0-9A-Za-z\s])", lambda match: match[1] or match[2], text)


def is_clean(text: str) -> bool:
    """Tell whether Discord would show `text` unchanged."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)


class TestEscapeMarkdown:
    """Discord shows escaped text as it was logged."""

    @pytest.mark.parametrize(
        ("text", "escaped"),
        [
            ("__init__ *args `x` ~~no~~ ||spoiler||", r"\_\_init\_\_ \*args \`x\` \~\~no\~\~ \|\|spoiler\|\|"),
            ("C:\\new", r"C:\\new"),
            ("[text](https://x.y)", r"\[text]\(https://x.y)"),
            ("# a\n - b\n> c\n-# d\n12. e", "\\# a\n \\- b\n\\> c\n\\-# d\n12\\. e"),
            ("a # b - c > d 12. e", "a # b - c > d 12. e"),
            ("12 is 1.5\n1", "12 is 1.5\n1"),
            ("<@1> <@&2> <#3> @everyone", r"\<@1> \<@&2> \<#3> \@everyone"),
            ("<:a:1> <a:b:2> <t:3:R> </run:4>", r"\<\:a:1> \<a\:b:2> \<t\:3:R> \</run:4>"),
            ("<sound:123:456> <id:customize> <+1> <a@b.c>", r"\<sound\:123:456> \<id:customize> \<+1> \<a@b.c>"),
            ("<Response [404]> <table> a < b <= c << d", r"<Response \[404]> <table> a < b <= c << d"),
            ("<<a:b>> <<https://x.y>", r"\<\<a:b>> \<<https://x.y>"),
            ("https://x.y/a_b_c?d=*&e=1 _a_", r"https://x.y/a_b_c?d=*&e=1 \_a\_"),
            ('("https://x.y/a_b"), _a_', r'("https://x.y/a_b"), \_a\_'),
            ("<http://x.y/a_b> ok_", r"<http://x.y/a_b> ok\_"),
            ("https://x.y<@1>", r"https:\//x.y\<@1>"),
            ("http:// a_b", r"http:\// a\_b"),
            ("http://[ text](https://evil.example)", r"http:\//\[ text]\(https://evil.example)"),
            ("https://x.y/[a](https://evil.example)", r"https:\//x.y/\[a]\(https:\//evil.example)"),
            ("https://x.y](https://evil.example) a]", r"https:\//x.y]\(https:\//evil.example) a]"),
            ("https://x.y/`a` https://_ https://x|y", r"https:\//x.y/\`a\` https:\//\_ https:\//x\|y"),
            ("<https://x.y/a\nb> <javascript:/x>", "\\<https://x.y/a\nb> \\<javascript:/x>"),
            ("steam://run/1_ HTTPS://X_Y redis://a_b", r"steam:\//run/1\_ HTTPS:\//X\_Y redis:\//a\_b"),
            (
                "\xa0# a\n\u3000- b\n \u200e> c\n\u2003-# d\n\u28001. e",
                "\xa0\\# a\n\u3000\\- b\n \u200e\\> c\n\u2003\\-# d\n\u28001\\. e",
            ),
            ("1\ufe0f. a :sm\u200dile: @e\u200everyone", "1\\\ufe0f. a \\:sm\u200dile: \\@e\u200everyone"),
            ("user:key:1 2a14:6f42:c::/48 :100:", r"user\:key:1 2a14\:6f42\:c::/48 \:100:"),
            ("at 12:34:56: a: b, c::d", "at 12:34:56: a: b, c::d"),
            (">>> all\n### h\n -# s\n  * i", "\\>>> all\n\\### h\n \\-# s\n  \\* i"),
            ('{"a": [1, null], "b_c": "*"}', r'{"a": \[1, null], "b\_c": "\*"}'),
            ("{'a': ('b',), 'c': None}", "{'a': ('b',), 'c': None}"),
            ("```py\nx\n```", "\\`\\`\\`py\nx\n\\`\\`\\`"),
            ("https://x.y```a <https://x.y/```a>", r"https:\//x.y\`\`\`a \<https:\//x.y/\`\`\`a>"),
            ("a std::fs::read b:+1:c [::1]:80 x[a:b:c]", r"a std:\:fs::read b\:+1:c \[::1]:80 x\[a\:b:c]"),
            ("10:30:00 at 7:05:09 :wave::skin-tone-2:", r"10:30:00 at 7:05:09 \:wave:\:skin-tone-2:"),
        ],
    )
    def test_examples(self, text: str, escaped: str) -> None:
        """Characters are escaped where they would be marks, and addresses stay links."""
        assert escape_markdown(text) == escaped

    @given(ANY_TEXT)
    @example("https://a.b<@1>")
    @example("\\https://a\\_b \\\\")
    def test_discord_shows_the_text_itself(self, text: str) -> None:
        """Undoing the escapes gives any text back."""
        assert unescape(escape_markdown(text)) == text

    @given(ANY_TEXT)
    def test_every_mark_is_escaped(self, text: str) -> None:
        """Outside addresses every mark has its backslash, and no line begins with one."""
        assert "](" not in escape_markdown(text)
        shown = re.sub(rf"{ADDRESS}|\\[^0-9A-Za-z\s]", "\x00", escape_markdown(text))
        assert not re.search(r"[*_~|`\[\\]|<[@#:/+]|<\w*:|:(?!\d\d:)[\w+-]+:|://(?!\Z|\s|\x00)|@everyone|@here", shown)
        bare = re.sub(r"\\[^0-9A-Za-z\s]", "\x00", escape_markdown(text))
        assert not re.search(r"^[^\S\n]*(?:[#>-]|\d+\.)", bare, re.MULTILINE)

    @given(ANY_TEXT)
    @example("https://a.b```py\nx\n```")
    def test_no_block_opens_for_a_reader_that_knows_no_addresses(self, text: str) -> None:
        """Discord takes the backticks of an address for its part; notifications and bridges may not."""
        assert "`" not in re.sub(r"\\[^0-9A-Za-z\s]", "", escape_markdown(text))

    @given(ANY_TEXT)
    def test_no_address_is_a_link_on_request(self, text: str) -> None:
        """Discord would add a card for it."""
        assert "://" not in escape_markdown(text, keep_links=False)
        assert unescape(escape_markdown(text, keep_links=False)) == text


class TestShorten:
    """A cut is marked by an ellipsis."""

    @pytest.mark.parametrize(
        ("text", "limit", "shown"),
        [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab  cd", 5, "ab…"),
            (r"a\*bc", 3, "a…"),
            (r"a\\bcd", 4, "a\\\\…"),
            (r"a\\\*cd", 5, "a\\\\…"),
            ("", 3, ""),
        ],
    )
    def test_examples(self, text: str, limit: int, shown: str) -> None:
        """Neither blanks nor half an escape stand before the ellipsis."""
        assert shorten(text, limit) == shown

    @given(ANY_TEXT, st.integers(2, 80))
    def test_a_shortened_text_fits_and_is_the_beginning(self, text: str, limit: int) -> None:
        """A text that fits stays unchanged; of a longer one, the beginning stays, with an ellipsis."""
        shown = shorten(text, limit)
        assert len(shown) <= limit
        assert shown == text if len(text) <= limit else (shown[-1] == "…" and text.startswith(shown[:-1]))

    @given(ANY_TEXT, st.integers(2, 80))
    def test_an_escape_stays_whole(self, text: str, limit: int) -> None:
        """Escaped text never ends in a lone backslash."""
        kept = shorten(escape_markdown(re.sub("https?:", "", text)), limit).removesuffix("…")
        assert (len(kept) - len(kept.rstrip("\\"))) % 2 == 0


class TestPlain:
    """A message is cleaned, escaped and cut for its card."""

    def test_short_text_is_cleaned_and_escaped(self) -> None:
        """A whole text gets no mark of a cut."""
        assert plain("\x1b[31m__init__\x1b[0m failed", 60) == r"\_\_init\_\_ failed"

    def test_text_of_exactly_the_limit_stays_whole(self) -> None:
        """A limit is inclusive."""
        assert plain("x" * 100, 100) == "x" * 100

    def test_a_long_message_says_how_much_is_missing(self) -> None:
        """The reader sees that there is more text, and how long it is in all."""
        assert plain("x" * 1234, 100) == "x" * 59 + "… *(1,234 characters in all)*"

    def test_text_that_exceeds_the_limit_by_its_escapes_is_cut(self) -> None:
        """The backslashes count towards the limit."""
        assert plain("*" * 100, 100) == r"\*" * 29 + "… *(100 characters in all)*"

    @pytest.mark.parametrize("text", ["\x00" * 500 + "end", "\x1b[0m" * 500 + "end"])
    def test_a_cut_is_marked_even_if_little_is_shown(self, text: str) -> None:
        """The text behind a long row of codes is not left out silently."""
        assert f"({len(text):,} characters in all)" in plain(text, 200)

    @given(EVEN_SURROGATES, st.integers(0, 300), st.integers(60, 2000))
    def test_any_text_fits(self, text: str, times: int, limit: int) -> None:
        """Neither its length nor its content breaks the limit."""
        shown = plain(text * times, limit)
        assert len(shown) <= limit
        assert is_clean(shown)


class TestBreakFences:
    """Text in a code block cannot end the block."""

    @pytest.mark.parametrize("count", range(9))
    def test_every_fence_is_broken(self, count: int) -> None:
        """Any number of backticks is broken up, and cleaning does not change the result."""
        broken = break_fences("`" * count)
        assert "```" not in broken
        assert broken.replace(ZERO_WIDTH, "") == "`" * count
        assert clean(broken) == broken


class TestCodeBlock:
    """A traceback stands in a code block of its card."""

    def test_short_text_stays_whole(self) -> None:
        """The fences stand on lines of their own, the first with the language."""
        assert code_block("x = 1", 100, language="py") == "```py\nx = 1\n```"

    def test_markdown_and_indents_stay_and_outer_newlines_go(self) -> None:
        """Nothing is escaped in a block, and Discord drops newlines next to a fence."""
        assert code_block("\n\n  *a* \\_\n", 100) == "```\n  *a* \\_\n```"

    @pytest.mark.parametrize("text", ["", "\n", " \n ", "\x00", "\x1b[0m\n", "\u3000"])
    def test_a_blank_text_is_no_block(self, text: str) -> None:
        """Discord takes the fences of an empty block for text, and the text up to the next block for code."""
        assert code_block(text, 100) == ""

    @pytest.mark.parametrize("keep_end", [False, True])
    def test_text_of_exactly_the_limit_stays_whole(self, *, keep_end: bool) -> None:
        """A limit is inclusive; with one character more, the text is cut."""
        text = "".join(map(str, range(10)))
        assert code_block(text, 18, keep_end=keep_end) == f"```\n{text}\n```"
        assert "…" in code_block(text, 17, keep_end=keep_end)

    def test_a_cut_keeps_the_beginning(self) -> None:
        """An ellipsis marks the missing end."""
        assert code_block("0123456789" * 9, 28) == "```\n0123456789012345678…\n```"

    def test_a_cut_of_a_traceback_keeps_whole_lines_of_its_end(self) -> None:
        """The last lines of a traceback name the error."""
        text = "\n".join(f"line {number}" for number in range(1000)) + "\nValueError: no"
        assert code_block(text, 60, keep_end=True) == "```\n…\nline 997\nline 998\nline 999\nValueError: no\n```"

    def test_the_end_of_a_very_long_line_is_kept(self) -> None:
        """The block is filled from the long line, and does not hold the short last line alone."""
        block = code_block("E: " + "x" * 5000 + "\nhint", 1000, keep_end=True)
        assert len(block) == 1000
        assert block.endswith("xxx\nhint\n```")

    @pytest.mark.parametrize("keep_end", [False, True])
    @pytest.mark.parametrize("code", ["\x1b[0m", "\x00"])
    def test_a_cut_is_marked_even_if_the_rest_was_cleaned_away(self, code: str, *, keep_end: bool) -> None:
        """A coloured text that is cut before it is cleaned may be short afterwards."""
        text = f"begin{code * 3000}end"
        block = code_block(text, 500, keep_end=keep_end)
        assert "…" in block
        assert ("end" in block) is keep_end

    @pytest.mark.parametrize("room", range(40, 60))
    def test_a_cut_inside_a_flag_leaves_no_hidden_characters(self, room: int) -> None:
        """Behind a flag the characters belong to it; alone they are a text that nobody sees."""
        scotland = "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbsct") + "\U000e007f"
        block = code_block(scotland * 40, room, keep_end=True)
        assert "\U000e0067" in block
        assert clean(block) == block

    @pytest.mark.parametrize("secret", [URL, TOKEN])
    @pytest.mark.parametrize("end", range(0, 200, 7))
    def test_a_cut_inside_a_webhook_url_hides_its_token(self, secret: str, end: int) -> None:
        """The token could not be found in a URL without its beginning, so it is masked before the cut."""
        register_token(TOKEN)
        block = code_block(f"{'a' * 900} {secret} {'b' * end}", 200, keep_end=True)
        assert not any(TOKEN[start : start + 6] in block for start in range(len(TOKEN) - 6))

    @given(
        EVEN_SURROGATES | st.text("`\n ", max_size=30),
        st.integers(0, 200),
        st.integers(40, 1500),
        st.sampled_from(["", "py", "ansi"]),
        st.booleans(),
    )
    @example("`" * 5, 1, 100, "", False)
    @example("``", 200, 50, "py", True)
    def test_any_text_stays_in_its_block(
        self, text: str, times: int, limit: int, language: str, keep_end: bool
    ) -> None:
        """The block keeps its limit, and has exactly one opening and one closing fence."""
        block = code_block(f"a{text * times}b", limit, language=language, keep_end=keep_end)
        assert len(block) <= limit
        assert is_clean(block)
        assert [match.start() for match in re.finditer("(?=```)", block)] == [0, len(block) - 3]
        assert block.startswith(f"```{language}\n")
        assert block.endswith("\n```")

    @given(ANY_TEXT)
    def test_a_block_holds_the_whole_text_that_fits(self, text: str) -> None:
        """A block adds only the fences and zero-width spaces."""
        text = f"a{clean(text)}b".replace("\u200b", "")
        assert code_block(text, 10_000).replace("\u200b", "") == f"```\n{text}\n```"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", WORST, ids=[f"{text[:4]!a}-{number}" for number, text in enumerate(WORST)])
def test_any_text_is_shown_in_time(text: str) -> None:
    """Even text that is made to slow down a pattern takes a short time."""
    assert is_clean(clean(text))
    assert unescape(escape_markdown(text)) == text
    assert len(plain(text, 4000)) <= 4000
    assert len(code_block(text, 4000, keep_end=True)) <= 4000


@pytest.mark.once
@pytest.mark.parametrize("function", [clean, escape_markdown, mask_token])
@pytest.mark.parametrize("text", WORST, ids=[f"{text[:4]!a}-{number}" for number, text in enumerate(WORST)])
def test_four_times_the_text_takes_about_four_times_as_long(
    takes_linear_time: Callable[..., bool], function: Callable[[str], str], text: str
) -> None:
    """No pattern reads a text again and again, which would take sixteen times as long."""
    assert takes_linear_time(function, text, text * 4)
