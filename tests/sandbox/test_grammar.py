"""The page's grammar of Discord's Markdown, compared with an independent parser in Node.js."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Compare = Callable[[Sequence[str]], list[tuple[list[Any], list[Any]]]]

pytestmark = pytest.mark.once

_STATIC = Path(sandbox.__file__).parent / "static"
_PARSER = Path(__file__).parent.parent / "vendor" / "discord-markdown-parser.js"
_SCRIPT = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parse } from "./grammar.js";

const other = createRequire(import.meta.url)(process.argv[2]);
const texts = JSON.parse(readFileSync(0, "utf-8"));
console.log(JSON.stringify(texts.map((text) => [parse(text), other.parse(text, "extended")])));
"""
_ID = "123456789012345678"
_SIGNS = ["*", "**", "***", "_", "__", "~~", "||", "`", "``", "```", "```py\n", "\\", "\\*", "\n", "\n", ":", "!", "."]
_LINES = ["# h", "## h", "-# s", "> q", ">>> r"]
_MENTIONS = [f"<{kind}{_ID}>" for kind in ("@", "@&", "#", ":unknown:", "/run it:")] + ["@everyone", "@here"]
_TIMES = ["<t:1700000000:R>", "<t:-5>", "12:30"]
_LINKS = ["https://a.b/c", "https://a.b/`x`", "<https://a.b/c>", "[x](https://a.b/c)", "[x **y**](https://a.b)"]
_TEXTS = ["a", "b c", "snake_case_name", "¯\\_(ツ)_/¯", "**bold**", "*it*", "__u__", "||s||", "`c`"]
_PIECES = [*_SIGNS, *_LINES, *_MENTIONS, *_TIMES, *_LINKS, *_TEXTS]
_KNOWN_DIFFERENCE = re.compile(r"https?://[^\s<]*\([^\s<]*\)|^ *>.*\n(?:#{1,3}|-#) ", re.MULTILINE)
"""An address with brackets, or a heading after a quote; see `_DIFFERENCES`."""
_NAMES = dict.fromkeys(("user", "role", "everyone", "here"), "mention") | {
    "em": "emphasis",
    "strikethrough": "strike",
    "blockQuote": "quote",
    "inlineCode": "code",
    "url": "link",
    "autolink": "link",
    "slashCommand": "command",
    "emoji": "customEmoji",
}


_VALUES: dict[str, list[tuple[str, ...]]] = {
    "code": [("text", "content")],
    "codeBlock": [("language", "lang"), ("text", "content")],
    "timestamp": [("seconds", "timestamp"), ("style", "format")],
    "mention": [("all", "id", "type")],
    "channel": [("id",)],
    "command": [("fullName", "name")],
    "customEmoji": [("name",)],
    "link": [("url", "target")],
    "heading": [("level",)],
}


def _inputs(count: int) -> list[str]:
    """Return texts of random pieces, the same ones each time."""
    choose = random.Random(2026)  # noqa: S311 - repeatable is what it must be
    texts: list[str] = []
    while len(texts) < count:
        text = "".join(choose.choices(_PIECES, k=choose.randint(1, 9)))
        if not _KNOWN_DIFFERENCE.search(text):
            texts.append(text)
    return texts


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Compare:
    """Return, for each text, the trees of our grammar and of the other parser, in one form."""
    node = shutil.which("node")
    if not node:
        if os.environ.get("REQUIRE_NODE"):
            pytest.fail("REQUIRE_NODE is set, but node is not installed")
        pytest.skip("needs node (Debian: apt install nodejs)")
    folder = tmp_path_factory.mktemp("grammar")
    (folder / "vendor").mkdir()
    for name in ("grammar.js", "vendor/emoji.js"):
        shutil.copy(_STATIC / name, folder / name)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "compare.js").write_text(_SCRIPT)

    def run(texts: Sequence[str]) -> list[tuple[list[Any], list[Any]]]:
        command = [node, str(folder / "compare.js"), str(_PARSER)]
        done = subprocess.run(command, input=json.dumps(texts), stdout=subprocess.PIPE, check=True, encoding="utf-8")
        return [(_form(ours), _form(theirs)) for ours, theirs in json.loads(done.stdout)]

    return run


def _form(nodes: list[Any], *, emphasized: bool = False) -> list[Any]:
    """Return texts, and lists that begin with the type of a node and end with its content.

    Some differences of the two trees are none in what is drawn: italics within italics, and a line break at the end of
    a quote or after a code block, which are blocks of their own.
    """
    made: list[Any] = []
    for node in nodes:
        if isinstance(node, str) or node["type"] in ("text", "br"):
            text = node if isinstance(node, str) else node.get("content", "\n")
            if made and made[-1][0] == "codeBlock":
                text = text.removeprefix("\n")
            made += [made.pop() + text] if made and isinstance(made[-1], str) else [text] if text else []
            continue
        kind = _NAMES.get(node["type"], node["type"])
        nested = isinstance(node.get("content"), list)
        content = _form(node["content"], emphasized=emphasized or kind == "emphasis") if nested else []
        if kind == "quote" and isinstance(content[-1], str):
            content[-1:] = [text] if (text := content[-1].removesuffix("\n")) else []
        if kind == "emphasis" and emphasized:
            made += content
        else:
            made.append([kind, *_values(kind, node), *([content] if nested else [])])
    return made


def _values(kind: str, node: dict[str, Any]) -> list[Any]:
    """Return what a node holds besides its content; the two parsers have different keys for it."""
    items = [_form(item) for item in node.get("items", ())]
    return [next((node[key] for key in keys if node.get(key)), None) for keys in _VALUES.get(kind, ())] + items


def test_500_texts_are_read_as_the_other_parser_reads_them(compare: Compare) -> None:
    """Random pieces of Markdown, and signs without a partner, give the same tree."""
    texts = _inputs(500)
    different = [(text, *trees) for text, trees in zip(texts, compare(texts), strict=True) if trees[0] != trees[1]]
    assert different == []


_CORNERS = {
    "***a** b*": [["emphasis", [["strong", ["a"]], " b"]]],
    "snake_case_name": ["snake_case_name"],
    "2 * 3 * 4": ["2 * 3 * 4"],
    "https://a.b/`c`, d": [["link", "https://a.b/`c`", ["https://a.b/`c`"]], ", d"],
    "https://a.b/c<d": [["link", "https://a.b/c", ["https://a.b/c"]], "<d"],
    "`` a ` b ``": [["code", " a ` b "]],
    "`` `a` ``": [["code", "`a`"]],
    "```\n\na\n\n```b": [["codeBlock", None, "a"], "b"],
    "``````": ["``````"],
    "~~a~~_": ["~~a~~_"],
    "\\<@1> \\a": ["<@1> \\a"],
    "**# a**": [["strong", [["heading", 1, ["a"]]]]],
    "||> a||": [["spoiler", [["quote", ["a"]]]]],
    "a **\n-# b**": ["a ", ["strong", ["\n", ["subtext", ["b"]]]]],
}


@pytest.mark.parametrize("text", _CORNERS)
def test_corner_cases_are_read_as_the_other_parser_reads_them(compare: Compare, text: str) -> None:
    """Both give the expected tree."""
    assert compare([text]) == [(_CORNERS[text], _CORNERS[text])]


_CLIENT = "so do published copies of Discord's web client"
_OTHERS = "so do other reimplementations of Discord's client"
_GUIDE = "https://support.discord.com/hc/en-us/articles/210298617"
_DIFFERENCES: list[tuple[str, list[Any], str]] = [
    ("https://a.b/(c)", [["link", "https://a.b/(c)", ["https://a.b/(c)"]]], f"brackets are counted: {_CLIENT}"),
    ("> a\n# b", [["quote", ["a"]], ["heading", 1, ["b"]]], f"a quote ends with its line: {_GUIDE}"),
    ("*a *", [["emphasis", ["a"]]], f"a space may stand before the star that closes: {_CLIENT}"),
    (" # a #", [["heading", 1, ["a"]]], f"spaces before a heading and signs behind it are left out: {_OTHERS}"),
    ("# # a", ["# # a"], f"a heading does not begin with the sign of one: {_OTHERS}"),
    (" -# a", [["subtext", ["a"]]], f"spaces before subtext are left out: {_CLIENT}"),
    ("- a\n  1. b", [["bullets", ["a", ["numbered", ["b"]]]]], f"there are lists: {_GUIDE}"),
    (":fire: :no_such:", ["🔥 :no_such:"], f"the names of emoji stand for them: {_CLIENT}"),
    ("<t:5:S>", [["timestamp", "5", "S"]], "https://docs.discord.com/developers/reference#message-formatting"),
    ("<@5>", [["mention", "5"]], f"ids of any length: {_CLIENT}"),
    ("<steam://a>", ["<steam://a>"], "the page links to the web alone"),
]


@pytest.mark.parametrize(("text", "expected", "reason"), _DIFFERENCES)
def test_a_difference_is_intended(compare: Compare, text: str, expected: list[Any], reason: str) -> None:
    """Ours is the expected tree, for a reason, and the other parser has another one."""
    ((ours, theirs),) = compare([text])
    assert (ours, theirs != ours) == (expected, True), reason
