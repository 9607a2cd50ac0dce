"""Log data is shown as text, whatever it is: an independent parser of Discord's Markdown finds only our own parts.

The parser differs from Discord's client in a few rules (https://github.com/LyricLy/parse-discord has been compared with
the client, rule by rule):

- It knows no lists, no emoji such as `:fire:`, no sounds, and no `<id:customize>`: `rest_problems` looks for those.
- It recognises mentions by ids of 17 digits and more; the client takes any number. The texts below have long ids.
- It ends an address before every closing bracket; the client only before one that the address did not open.
- It makes a link of `<x:/y>`; the client shows such text without the brackets if the scheme is unknown.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import compose, compose_plain
from discord_logging._cards.digest import Summary
from discord_logging._cards.plain_text import full_text
from discord_logging._masking.masker import SecretMasker
from discord_logging._records.freeze import freeze
from discord_logging._records.settings import CardSettings
from discord_logging._text.sanitize import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Node = dict[str, Any]

pytestmark = pytest.mark.once

PARSER = Path(__file__).parent.parent / "vendor" / "discord-markdown-parser.js"
# One line of JSON, a list of texts, becomes one line, the list of their trees.
SCRIPT = """
const { parse } = require(process.argv[1]);
const trees = (line) => JSON.stringify(JSON.parse(line).map((text) => parse(text, "extended")));
require("readline").createInterface({ input: process.stdin }).on("line", (line) => console.log(trees(line)));
"""
ID = "123456789012345678"
SOURCE_URL = "https://git.example/{path}#L{line}"
FILE_HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d ")
OUR_TIME = "<t:1000000000:T>"
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SIGNS = list("\\*_~|`[](){}<>@#:/-+=!.,;\"'&1a")
BLANKS = [" ", "  ", "\n", "\t", "\r", "\v", "\f", "\x85", "\xa0", "\u3000", "\u2003", "\u2028", "\u2029", "\u2800"]
INVISIBLE = ["\x00", "\x1b", "\x1b[1m", "\xad", "\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\ufeff", "\ufe0f"]
LINE_MARKS = ["# ", "## ", "-# ", "- ", "* ", "> ", ">>> ", "1. ", "\n# ", "\n-# ", "\n>>> ", "\n12. "]
PAIRS = ["**", "__", "~~", "||", "```", "``", "```py\n", "***", "_*"]
MENTIONS = [f"<{kind}{ID}>" for kind in ("@", "@!", "@&", "#", ":ab:", "a:ab:", "/run:", "sound:1:")]
MENTIONS += ["@everyone", "@here", ":fire:", "<t:1618953630:R>", "<t:1>", "<id:customize>", f"<{ID}:customize>"]
ADDRESSES = ["https://", "http://", "steam://", "https://a.b", "https://a.b/c_d_e", "<https://a.b/c>", "http://["]
ADDRESSES += ["](https://evil.example)", "[a](https://evil.example)", "<https://evil.example\n", "<javascript:/x>"]
WORDS = ["a", "é", "🔥", "ש", "12:30:45", "¯\\_(ツ)_/¯"]
PIECES = [*SIGNS, *BLANKS, *INVISIBLE, *LINE_MARKS, *PAIRS, *MENTIONS, *ADDRESSES, *WORDS]
DATA = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)
NAME = DATA.map(lambda text: text[:25])
EVERYWHERE = st.tuples(DATA, NAME, DATA, DATA)
TEXT = ("text", "br", "url", "autolink")
"""The types of nodes that data may become."""
KNOWN_FAULTS = [
    "http://[ text](https://evil.example)",
    "](https://evil.example)",
    "\xa0# a",
    "\u3000>>> a",
    "\u20281. a",
    "<https://evil.example\n.com>",
    "a\n12:00:00 CRITICAL till: gone",
    "```\n# a",
]


class Parser:
    """The parser, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def parse(self, texts: Sequence[str]) -> list[list[Node]]:
        """Return the tree of each text."""
        process = self._process
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(list(texts)) + "\n")
        process.stdin.flush()
        trees: list[list[Node]] = json.loads(process.stdout.readline())
        return trees


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    node = shutil.which("node")
    if not node:
        if os.environ.get("REQUIRE_NODE"):
            pytest.fail("REQUIRE_NODE is set, but node is not installed")
        pytest.skip("needs node (Debian: apt install nodejs)")
    command = [node, "-e", SCRIPT, str(PARSER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield Parser(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait(20) == 0


def make(data: Sequence[str], **more: Any) -> FrozenRecord:
    """Return a record with data in each of its texts."""
    message, name, value, trace = data
    record = logging.LogRecord(name, logging.ERROR, "orders.py", 42, message, (), None, name)
    attributes = {"levelname": name, "threadName": name, "processName": name, "taskName": name, f"_{name}": value}
    record.__dict__.update(
        {**attributes, "created": 1e9, "exc_text": trace or None, "stack_info": trace or None, **more}
    )
    card = CardSettings(EmbedFormatter(), source_url=SOURCE_URL, masker=SecretMasker(()))
    return FrozenRecord(freeze(record, card))


def shown(nodes: Sequence[Node]) -> str:
    """Return the text that a reader sees."""
    text = "".join("\n" if node["type"] == "br" else _content(node) for node in nodes)
    # The parser may cut between the two halves of an emoji.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _content(node: Node) -> str:
    content = node.get("content", "")
    return content if isinstance(content, str) else shown(content)


def expected(data: str) -> str:
    """Return what a reader should see of data: with four blanks for a tab, as the parser has it."""
    return clean(data).replace("\t", "    ").strip()


def without_brackets(text: str) -> str:
    """Return a text without angle brackets, which disappear around an address."""
    return re.sub("[<>]", "", text).strip()


def problems(nodes: Sequence[Node], *ours: str) -> list[str]:
    """Return what a tree has beside text, addresses that are shown as they are, and our own parts in their order."""
    found = [node["type"] for node in nodes if node["type"] not in TEXT]
    masked = [node for node in nodes if node["type"] in ("url", "autolink") and node["target"] != shown([node])]
    inner = [node for node in nodes if node["type"] in ("strong", "em", "subtext")]
    deep = [each["type"] for node in inner for each in node["content"] if each["type"] not in TEXT]
    return [*([f"{found}, not {ours}"] if found != list(ours) else []), *map(str, masked), *_foreign(inner, deep)]


def _foreign(inner: Sequence[Node], types: Sequence[str]) -> list[str]:
    """Return the nodes inside our own that are not ours: only the small print has a link, that of the source."""
    links = [each for node in inner for each in node["content"] if each["type"] == "link"]
    foreign = [f"link to {link['target']}" for link in links if not link["target"].startswith("https://git.example/")]
    return foreign + [kind for kind in types if kind != "link"]


def rest_problems(markdown: str) -> list[str]:
    """Return what Discord would find in Markdown but the parser does not know."""
    outside = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    bare = re.sub(r"<https?://[^\s<>]+>|https?://[^\s<]+|\\[^0-9A-Za-z\s]", "\x00", outside)
    return re.findall(r"(?m)^[^\S\n]*(?:[*-]|\d+\.) |:(?!\d\d:)[\w+-]+:|steam://\S|<(?:sound|id):|<\+\d|<\S+@", bare)


class TestCard:
    """The card of one record."""

    @MANY
    @given(EVERYWHERE)
    @example(("hello", "", "", ""))
    def test_all_data_is_text(self, parser: Parser, data: tuple[str, str, str, str]) -> None:
        """The message is shown as it was logged, and only our own blocks and small print are Markdown.

        Titles and names have not even addresses: Discord makes links of them in some places, and marks of their signs
        in others.
        """
        check_card(parser, data)

    @pytest.mark.parametrize("fault", KNOWN_FAULTS)
    def test_known_faults(self, parser: Parser, fault: str) -> None:
        """Each of these was once shown as something else than text."""
        check_card(parser, (fault, fault, fault, fault))

    @MANY
    @given(DATA, st.integers(200, 3000))
    def test_a_cut_leaves_text(self, parser: Parser, data: str, times: int) -> None:
        """A cut may stand in the middle of whatever was escaped."""
        text = data * times
        embed = EmbedFormatter().embed(make((text, text, text, "")))
        description, title = parser.parse([embed["description"], embed["title"]])
        assert not {node["type"] for node in description} - {"text", "br", "url", "autolink", "em", "subtext"}
        assert not {node["type"] for node in title} - {"text", "url", "autolink", "em"}
        notes = [shown([node]) for node in (*description, *title) if node["type"] == "em"]
        assert all(re.fullmatch(r"\([\d,]+ characters in all\)", note) for note in notes)


def check_card(parser: Parser, data: tuple[str, str, str, str]) -> None:
    """Assert that only our own parts of a card are Markdown."""
    message, name, value, trace = data
    embed = EmbedFormatter().embed(make(data))
    fields = [(field["name"], field["value"]) for field in embed.get("fields", ())]
    texts = [embed["description"], embed["title"], *(text for field in fields for text in field)]
    assert [problem for text in texts for problem in rest_problems(text)] == []
    description, title, *parts = parser.parse(texts)
    blocks = ["codeBlock"] * (2 * bool(expected(trace)))
    assert problems(description, *blocks, "subtext") == []
    before = [*(node["type"] for node in description), "codeBlock", "subtext"]
    first = min(before.index("codeBlock"), before.index("subtext"))
    assert without_brackets(shown(description[:first])) == without_brackets(expected(message))
    assert {node["type"] for node in title} <= {"text"}
    assert len(embed["title"].splitlines()) == 1
    flat = " ".join(name.splitlines())
    assert without_brackets(shown(title)) == without_brackets(f"❌ {clean(flat)} · {clean(flat)}".replace("\t", "    "))
    for (_, markdown), names, values in zip(fields, parts[::2], parts[1::2], strict=True):
        assert {node["type"] for node in names} <= {"text"}
        assert "\n" not in shown(names)
        assert problems(values, *(["codeBlock"] if markdown.startswith("```\n") else [])) == []
        content = shown(values).replace("\u200b", "")
        assert without_brackets(content) == without_brackets(expected(value))
    assert len(embed["footer"]["text"].splitlines()) == 1


class TestLines:
    """Lines of many records."""

    @MANY
    @given(EVERYWHERE)
    def test_all_data_is_in_our_block(self, parser: Parser, data: tuple[str, str, str, str]) -> None:
        """The block has as many lines with a time as it has records."""
        message, name, value, _ = data
        # More would not be lines, but a digest.
        short = (message[:60], name, value[:40], "")
        records = [make(short, levelno=30, levelname="WARNING") for _ in range(12)]
        composed = compose(records)
        [embed] = composed.message.payload["embeds"]
        heading, _, rest = embed["description"].partition("\n")
        assert re.fullmatch(rf"-# 12 records, {OUR_TIME} to {OUR_TIME} · times below are in UTC\S*", heading)
        [[block]] = parser.parse([rest])
        assert (block["type"], block["lang"]) == ("codeBlock", "ansi")
        heads = re.findall(r"^\S.*", block["content"], re.MULTILINE)
        assert len(heads) == len(composed.records) == 12
        assert all(re.match("\\d\\d:\\d\\d:\\d\\d \x1b\\[33mWARNING\x1b\\[0m ", head) for head in heads)
        assert block["content"].count("\x1b") == 2 * len(heads)


class TestDigest:
    """The summary of many records, and their file."""

    @MANY
    @given(st.lists(EVERYWHERE, min_size=1, max_size=3))
    def test_all_data_is_text(self, parser: Parser, data: list[tuple[str, str, str, str]]) -> None:
        """Only our counts are bold, and each kind has one line."""
        records = [make(each) for each in data]
        embed = Summary(records).embed(records[0], records[-1])
        assert embed["description"].count(OUR_TIME) == len({record.kind() for record in records})
        texts = [embed["title"], embed["description"].replace(OUR_TIME, "01.46.40"), embed["fields"][2]["value"]]
        assert [problem for text in texts for problem in rest_problems(text)] == []
        title, description, loggers = parser.parse(texts)
        assert problems(title) == problems(loggers) == []
        levels = {record.levelname for record in records}
        kinds = {record.kind() for record in records}
        assert len(embed["description"].split("\n")) == len(kinds) + 2
        assert problems(description, *["strong"] * (len(levels) + len(kinds)), "subtext") == []
        bold = [shown([node]) for node in description if node["type"] == "strong"]
        assert all(re.fullmatch(r"×?\d+", text) for text in bold)  # noqa: RUF001 - the sign for times

    @MANY
    @given(EVERYWHERE)
    def test_a_record_in_a_file_begins_one_line(self, data: tuple[str, str, str, str]) -> None:
        """A line of a text that begins so is indented."""
        forged = [part.replace("12:30:45", "2001-09-09T01:46:40.000+00:00 CRITICAL till:") for part in data]
        first, *others = full_text(make(forged), for_card=True).splitlines()
        assert FILE_HEAD.match(first)
        assert not any(map(FILE_HEAD.match, others))


class TestPlainText:
    """The last try for a record whose card was refused."""

    @MANY
    @given(EVERYWHERE)
    def test_all_data_is_text(self, parser: Parser, data: tuple[str, str, str, str]) -> None:
        """Not even an address is a link, since Discord would add a card for it."""
        content = compose_plain(make(data)).payload["content"]
        [nodes] = parser.parse([content])
        assert {node["type"] for node in nodes} <= {"text", "br"}
        assert rest_problems(content) == []
        name = " ".join(f"{data[1]} {data[1]}".splitlines())
        assert shown(nodes).strip() == expected(f"{name}: {data[0]}")
