"""Any backlog as messages: all of it arrives, and Discord takes every message."""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import Composed, compose
from discord_logging._cards.plain_text import full_text
from discord_logging._cards.traceback_card import format_card
from discord_logging._cards.traceback_text import format_exception
from discord_logging._discord.sender import WebhookSender
from discord_logging._discord.webhook_url import WebhookURL
from discord_logging._records import freeze as freezing
from discord_logging._records.record import Counts
from discord_logging._records.settings import CardSettings
from discord_logging._text.markdown import cuts_made, escape_markdown
from discord_logging._text.sanitize import clean
from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from discord_logging._discord.types import Embed, EmbedField

pytestmark = pytest.mark.once

TOKEN = "aB3xK9-qLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/111111111111111111/{TOKEN}"
FENCE = "```"
BROKEN_FENCE = "`\u200b`\u200b`\u200b"
FILE_BYTES = 8_000_000
SOME = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# Backlogs


class _Failing(EmbedFormatter):
    def footer(self, record: FrozenRecord) -> str:
        raise ZeroDivisionError(record.message)


class _Returning(EmbedFormatter):
    def fields(self, record: FrozenRecord) -> Any:
        return [record.message]


class _Wordy(EmbedFormatter):
    def description(self, record: FrozenRecord) -> str:
        return f"{record.message}\n" + "waiting… " * 600

    def fields(self, record: FrozenRecord) -> list[EmbedField]:
        return [{"name": f"{record.levelname} {each}", "value": "…" * 2000} for each in range(30)]


class _Terse(EmbedFormatter):
    def title(self, record: FrozenRecord) -> str:
        return record.message[:20]

    def description(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
        return "loading…"

    def fields(self, record: FrozenRecord) -> list[EmbedField]:  # noqa: ARG002 - the signature
        return []

    def footer(self, record: FrozenRecord) -> str:  # noqa: ARG002 - the signature
        return ""


STANDARD = EmbedFormatter()
FORMATTERS = [STANDARD] * 5 + [_Failing(), _Returning(), _Wordy(), _Terse(), logging.Formatter("%(message)s"), None]
PLACES: list[dict[str, Any]] = [
    {},
    {},
    {"thread_id": "5"},
    {"username": "shop"},
    {"avatar_url": "https://x.example/a.png", "silent_below": logging.ERROR},
    {"username": {0: None, logging.ERROR: "Alarm"}, "mentions": {0: "", logging.ERROR: "<@&5>"}},
    {"thread_name": "Errors", "applied_tags": ("7",)},
]
PIECES = [
    "hello",
    "x",
    "```",
    "`" * 5,
    "```py\n",
    "\x1b[31mred\x1b[0m",
    "\x1b",
    URL,
    "<@123> @everyone <#1> </a:1>",
    "\r\n",
    "\n# big\n> quote\n-# small",
    "[x](https://x.example)",
    "…",
    "\ud800",
    "\x00\x08\x9f",
    "\u200b\u2028",
    "_*~|",
    "🚨é",
    " ",
    "\\",
]
ANY_TEXT = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=10), max_size=6).map("".join)
LONG_TEXT = st.builds(lambda text, times: text * times, ANY_TEXT, st.sampled_from([1, 1, 1, 1, 30, 300]))
NAMES = st.sampled_from(["shop", "shop.orders", "a\nb", FENCE, URL, "x" * 300, "<@1>", ""]) | ANY_TEXT


class Spec(NamedTuple):
    """The parts of a record."""

    body: str
    level: int
    levelname: str
    name: str
    error: str | None
    stack: str | None
    extra: dict[str, object]
    place: int
    formatter: int
    times: int
    is_repeat: bool


SPECS = st.builds(
    Spec,
    body=LONG_TEXT | st.builds(lambda text, size: (text * size)[:size], ANY_TEXT, st.integers(0, 20_000)),
    level=st.sampled_from([0, 5, 10, 20, 20, 20, 25, 30, 40, 50, 10_000]),
    levelname=st.sampled_from(["INFO", "ERROR", "NOTICE", FENCE, "a\nb"]) | ANY_TEXT,
    name=NAMES,
    error=st.none() | st.none() | LONG_TEXT,
    stack=st.none() | st.none() | st.none() | LONG_TEXT,
    extra=st.just({}) | st.dictionaries(ANY_TEXT, LONG_TEXT | st.integers(), max_size=30),
    place=st.integers(0, len(PLACES) - 1),
    formatter=st.integers(0, len(FORMATTERS) - 1),
    times=st.sampled_from([1, 1, 1, 2, 128, 10**9]),
    is_repeat=st.booleans(),
)
SHORT = st.builds(
    Spec,
    body=st.text(max_size=40),
    level=st.sampled_from([20, 20, 20, 20, 30, 40]),
    levelname=st.just("INFO"),
    name=st.sampled_from(["shop", "till"]),
    error=st.none(),
    stack=st.none(),
    extra=st.just({}),
    place=st.sampled_from([0, 0, 0, 2]),
    formatter=st.just(0),
    times=st.just(1),
    is_repeat=st.just(False),
)
BACKLOGS = (
    st.lists(SPECS, min_size=1, max_size=12)
    | st.lists(SHORT, min_size=1, max_size=60)
    | st.builds(
        lambda some, times, others: [*some * times, *others],
        st.lists(SHORT | SPECS, min_size=1, max_size=5),
        st.sampled_from([1, 5, 60]),
        st.lists(SPECS, max_size=3),
    )
)
NOTES = st.sampled_from(["", "delayed 5 s", "n" * 40])
ALLOWANCES = st.sampled_from([1, 1, 2, 3]) | st.integers(1, 40)


def fail(text: str) -> None:
    """Raise an error that another has caused."""
    nothing: dict[str, str] = {}
    try:
        nothing[text[:50]]
    except KeyError as cause:
        raise ValueError(text) from cause


def raised(text: str) -> BaseException:
    """Return an exception with a cause, a note and a traceback."""
    try:
        fail(text)
    except ValueError as error:
        error.__notes__ = ["a note…"]
        return error
    return pytest.fail("nothing was raised")


def freeze(number: int, spec: Spec, **more: Any) -> FrozenRecord:
    """Return a record with an id of its own at the beginning of its message."""
    record = logging.LogRecord(spec.name, spec.level, "orders.py", 42, f"id{number:05}z {spec.body}", (), None, "place")
    record.__dict__.update({"levelname": spec.levelname, "stack_info": spec.stack, "created": 1e9 + number, **more})
    record.__dict__.update({f"_{name}": value for name, value in spec.extra.items()})
    if spec.error is not None:
        error = raised(spec.error)
        record.exc_info = (type(error), error, error.__traceback__)
    place: dict[str, Any] = PLACES[spec.place]
    frozen = FrozenRecord(
        freezing.freeze(record, CardSettings(FORMATTERS[spec.formatter], **place, context={"service": "shop"}))
    )
    return frozen.counted(Counts(spec.times, frozen.created, is_repeat=spec.is_repeat))


def freeze_all(specs: Sequence[Spec]) -> list[FrozenRecord]:
    """Return the records of a backlog."""
    return [freeze(number, spec) for number, spec in enumerate(specs)]


def state(record: FrozenRecord) -> dict[str, object]:
    """Return all attributes of a record."""
    kept = {name: getattr(record, name) for name in set(FrozenRecord.__slots__) - {"_message", "_read", "_snapshot"}}
    kept["extra"] = dict(record.extra or {})
    return {**kept, "exception": record.exception.fingerprint() if record.exception else None}


def carry(records: Sequence[FrozenRecord], allowance: int = 1, note: str = "") -> list[Composed]:
    """Return the messages of a backlog, each of which uses one request of the allowance."""
    messages: list[Composed] = []
    waiting = list(records)
    while waiting:
        composed = compose(waiting, allowance=max(allowance - len(messages), 1), note=note)
        destination = waiting[0].settings.destination
        mine = [record for record in waiting if record.settings.destination == destination]
        assert list(composed.records) == mine[: len(composed.records)] != []
        gone = set(map(id, composed.records))
        waiting = [record for record in waiting if id(record) not in gone]
        messages.append(composed)
    return messages


# The checks


def texts_of(embed: Embed) -> list[tuple[str, str, int]]:
    """Return each text that Discord counts, with its name and limit."""
    texts = [(part, embed[part], limit) for part, limit in (("title", 256), ("description", 4096)) if part in embed]  # type: ignore[literal-required]  # both are keys
    texts += [("footer", embed["footer"]["text"], 2048)] if "footer" in embed else []
    texts += [("name", field["name"], 256) for field in embed.get("fields", [])]
    return texts + [("value", field["value"], 1024) for field in embed.get("fields", [])]


def embed_problems(embed: Embed) -> list[str]:
    """Return the faults of an embed, for Discord and for a reader."""
    texts = texts_of(embed)
    found = [f"{name} has {len(text)} of {limit} characters" for name, text, limit in texts if len(text) > limit]
    found += [f"blank {name}" for name, text, _ in texts if not text.strip()]
    found += [] if texts else ["an empty embed"]
    found += ["too many fields"] if len(embed.get("fields", [])) > 25 else []
    found += ["no colour"] if not 0 <= embed.get("color", 0) <= 0xFFFFFF else []
    found += ["unknown keys"] if set(embed) - {"title", "description", "color", "timestamp", "fields", "footer"} else []
    heading, _, block = embed.get("description", "").partition("\n")
    if block.startswith(f"{FENCE}ansi\n"):
        found += [] if LINES_HEADING.fullmatch(heading) else ["another heading of the lines"]
        found += ansi_problems(block)
        texts = [each for each in texts if each[0] != "description"]
    return found + [f"a terminal code in {name}" for name, text, _ in texts if "\x1b" in text]


def ansi_problems(block: str) -> list[str]:
    """Return the faults of a block of lines."""
    found = [] if block.count(FENCE) == 2 and block.endswith(f"\n{FENCE}") else ["a fence too many or too few"]
    lines = block.removeprefix(f"{FENCE}ansi\n").removesuffix(f"\n{FENCE}").split("\n")
    colored = re.compile(r"[^\x1b]*(?:\x1b\[(?:1;31|31|33|34)m[^\x1b]*\x1b\[0m[^\x1b]*)?")
    found += ["foreign codes"] if not all(colored.fullmatch(line) for line in lines) else []
    begins = re.compile(r"\d\d:\d\d:\d\d |         ")
    return found + (["a line without a time"] if not all(begins.match(line) for line in lines) else [])


def problems(composed: Composed) -> list[str]:
    """Return the rules of Discord that a message breaks, written from the documentation alone."""
    payload, _, files, _ = composed.message
    embeds = payload["embeds"]
    found = [problem for embed in embeds for problem in embed_problems(embed)]
    found += ["not 1 to 10 embeds"] if not 1 <= len(embeds) <= 10 else []
    total = sum(len(text) for embed in embeds for _, text, _ in texts_of(embed))
    found += [f"{total} characters"] if total > 6000 else []
    found += ["may ping"] if payload["allowed_mentions"] != {"parse": []} else []
    keys = {"embeds", "allowed_mentions", "username", "avatar_url", "thread_name", "applied_tags", "flags"}
    found += ["unknown keys"] if set(payload) - keys else []
    found += ["flags of bots"] if payload.get("flags", 0) & ~(1 << 2 | 1 << 12) else []
    found += ["a post and a thread"] if "thread_name" in payload and composed.message.thread_id else []
    found += ["too many files"] if len(files) > 10 or sum(len(file.content) for file in files) > 20_000_000 else []
    for name, content in files:
        found += [f"file name {name}"] if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.txt", name) else []
        found += ["file too large"] if not 0 < len(content) <= 10_000_000 else []
        found += ["control characters"] if re.search(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]", content.decode()) else []
    everything = json.dumps(payload, allow_nan=False, ensure_ascii=False).encode().decode() + text_of_files(composed)
    found += ["a token"] if TOKEN[:12] in everything or TOKEN[-12:] in everything else []
    return found


def text_of_files(composed: Composed) -> str:
    """Return the text of the attached files."""
    return "".join(file.content.decode() for file in composed.message.files)


def form(composed: Composed) -> str:
    """Return the form of a message."""
    embeds = composed.message.payload["embeds"]
    if [field["name"] for field in embeds[0].get("fields", [])] == ["From", "To", "Loggers"]:
        return "digest"
    return "lines" if f"\n{FENCE}ansi\n" in embeds[-1].get("description", "") else "cards"


IDS = re.compile(r"id(\d{5})z")
LINES_HEADING = re.compile(
    r"-# [\d,]+ records, (<t:-?\d+:T>|--:--:--) to (<t:-?\d+:T>|--:--:--) · times below are in UTC([+-]\d\d:\d\d)?"
)
HEADS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d .*?: id(\d{5})z", re.MULTILINE)


def places_of(composed: Composed) -> list[list[str]]:
    """Return the ids in the order in which they stand: those of cards, those of lines; of a digest those of the file.

    A card may show an id more than once, such as in a traceback, so the first counts.
    """
    if form(composed) == "digest":
        return [HEADS.findall(text_of_files(composed))]
    *cards, last = composed.message.payload["embeds"]
    lines = [last["description"]] if form(composed) == "lines" else []
    cards += [] if lines else [last]
    shown = [f"{card.get('title', '')} {card.get('description', '')}" for card in cards]
    return [[IDS.findall(card)[0] for card in shown], [found for text in lines for found in IDS.findall(text)]]


def check(records: Sequence[FrozenRecord], messages: Sequence[Composed]) -> None:
    """Every record is in what is sent exactly once, in its place, and nothing is wrong with any message."""
    assert sorted(id(record) for each in messages for record in each.records) == sorted(map(id, records))
    for composed in messages:
        assert problems(composed) == []
        ids = [record.message[2:7] for record in composed.records]
        places = places_of(composed)
        assert sorted(found for place in places for found in place) == sorted(ids)
        assert all(place == sorted(place, key=ids.index) for place in places)
        check_file(composed)


def check_file(composed: Composed) -> None:
    """Assert that the files consist of whole records, each of which begins with time, level and logger."""
    content = text_of_files(composed)
    attached = set(HEADS.findall(content))
    for record in composed.records:
        if record.message[2:7] not in attached:
            assert form(composed) != "digest"
            continue
        level, name = (clean(" ".join(str(text).splitlines())) for text in (record.levelname, record.name))
        head = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        assert f"{head} {level} {name} [{record.threadName}] orders.py:42: {clean(record.message)}" in content
        assert clean(format_exception(record.exception) if record.exception else "") in content
        assert clean(record.stack_info or "") in content
        assert all(clean(f"{name}={value}") in content for name, value in (record.extra or {}).items())


class TestAnyBacklog:
    """No record is lost or repeated."""

    @SOME
    @given(BACKLOGS, ALLOWANCES, NOTES)
    def test_every_record_is_found_in_its_place(self, specs: list[Spec], allowance: int, note: str) -> None:
        """Each is in a card, a line or the file, and every message obeys every limit."""
        records = freeze_all(specs)
        messages = carry(records, allowance, note)
        check(records, messages)
        for composed in messages:
            footer = composed.message.payload["embeds"][0].get("footer", {"text": ""})["text"]
            assert footer.endswith(note)

    @SOME
    @given(BACKLOGS, ALLOWANCES)
    def test_no_more_requests_than_are_allowed(self, specs: list[Spec], allowance: int) -> None:
        """A destination with less than a file of text keeps to the allowance; each further one may cost one more.

        A form is taken when what its first message carries would do as often as is allowed. Should the following carry
        less, a denser form is taken in time: with one request left it is the digest, which takes everything.
        """
        records = freeze_all(specs)
        destinations = {record.settings.destination for record in records}
        assert len(carry(records, allowance)) <= allowance + len(destinations) - 1

    @pytest.mark.once
    @settings(SOME, max_examples=3)
    @given(st.lists(st.integers(1, 9), min_size=2, max_size=9), st.integers(1, 3))
    def test_large_texts_need_as_many_files_as_they_fill(self, sizes: list[int], allowance: int) -> None:
        """Two consecutive files have more text than one could have."""
        spec = Spec("", 20, "INFO", "shop", None, None, {}, 0, 0, 1, is_repeat=False)
        records = [freeze(number, spec._replace(body="x" * (size * 500_000))) for number, size in enumerate(sizes)]
        messages = carry(records, allowance)
        assert len(messages) <= allowance + 2 * sum(sizes) * 500_000 // FILE_BYTES
        attached = [text_of_files(composed) for composed in messages]
        assert [match for text in attached for match in HEADS.findall(text)] == [f"{n:05}" for n in range(len(sizes))]
        assert all(len(text) <= FILE_BYTES for text in attached)

    @SOME
    @given(BACKLOGS, ALLOWANCES, NOTES)
    def test_composing_is_pure(self, specs: list[Spec], allowance: int, note: str) -> None:
        """The same records make the same message, and stay unchanged."""
        records = freeze_all(specs)
        before = list(map(state, records))
        one, two = (compose(records, allowance=allowance, note=note) for _ in range(2))
        assert one == two
        assert list(map(state, records)) == before

    @SOME
    @given(st.lists(SPECS, min_size=1, max_size=10), st.sampled_from([1, 40]))
    def test_a_plainer_form_would_not_have_been_enough(self, specs: list[Spec], allowance: int) -> None:
        """A digest is for records that neither cards nor lines can carry with the allowance."""
        records = [freeze(number, spec._replace(place=0)) for number, spec in enumerate(specs)]
        composed = compose(records, allowance=allowance)
        as_cards = compose(records, allowance=1_000_000)
        assert form(as_cards) == "cards"
        enough = len(as_cards.records) * allowance >= len(records)
        assert (form(composed) == "cards") or not enough

    @settings(SOME, max_examples=20)
    @given(BACKLOGS, ALLOWANCES, NOTES)
    def test_the_local_discord_accepts_every_message(
        self, posters: tuple[WebhookSender, WebhookSender], specs: list[Spec], allowance: int, note: str
    ) -> None:
        """The real one would accept them too."""
        for composed in carry(freeze_all(specs), allowance, note):
            poster = posters["thread_name" in composed.message.payload]
            answer = poster.post(composed.message._replace(thread_id=None))
            assert (answer.status, answer.errors) == (200, {})
            embeds = composed.message.payload["embeds"]
            assert len(answer.body["embeds"]) == len(embeds)
            names = [each["filename"] for each in answer.body["attachments"]]
            assert names == [file.filename for file in composed.message.files]


@pytest.fixture(scope="module")
def posters() -> Iterator[tuple[WebhookSender, WebhookSender]]:
    """Yield senders to a channel and to a forum of a local Discord without rate limits."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as discord:
        urls = (discord.webhook_url, discord.add_webhook(forum=True))
        channel, forum = (WebhookSender(WebhookURL.parse(url)) for url in urls)
        yield channel, forum
        channel.close()
        forum.close()


# Cuts


def near(*lengths: int) -> st.SearchStrategy[int]:
    """Return lengths around those of the limits, and small ones."""
    return st.sampled_from([0, 1, 5]) | st.one_of(*(st.integers(length - 4, length + 4) for length in lengths))


UNITS = st.sampled_from(["x", "x", "…", "_", "é", "x…", "line\n", "…\n", "`", "http://x.example/ "])


def fill(unit: str, length: int) -> str:
    """Return a text of `length` characters without blanks at its ends."""
    return (unit * length)[: max(length - 1, 0)].strip() + "." if length else ""


def is_whole(card: Embed, record: FrozenRecord) -> bool:
    """Tell whether a standard card shows the whole record, by its text and not by marks of cuts."""
    description, title = card.get("description", ""), card["title"]
    cuts = cuts_made()
    blocks = (format_card(record.exception, 1_000_000) if record.exception else "", record.stack_info)
    whole = cuts_made() == cuts and escape_markdown(clean(record.message)).strip() in description
    for block in blocks:
        fenced = clean(block or "").replace(FENCE, BROKEN_FENCE).strip("\n")
        whole = whole and (not fenced or f"\n{fenced}\n{FENCE}" in description)
    whole = whole and title.endswith(
        f" {escape_markdown(clean(record.levelname))} · {escape_markdown(str(record.name))}"
    )
    values = {**record.settings.context, **(record.extra or {})}
    shown = {field["name"]: field["value"] for field in card.get("fields", [])}
    for name, value in values.items():
        fenced = f"{FENCE}\n{clean(str(value)).replace(FENCE, BROKEN_FENCE)}\n{FENCE}"
        whole = whole and shown.get(escape_markdown(name)) in (escape_markdown(str(value)), fenced)
    return whole and f" · {record.threadName}" in card["footer"]["text"]


class TestCuts:
    """A card that is cut comes with the whole text of its record, and other cards do not."""

    @settings(SOME, max_examples=80)
    @given(
        st.tuples(UNITS, near(1300, 2600, 3320, 4040, 4060, 4070, 4096, 9000)),
        st.none() | st.tuples(UNITS, near(700, 1500, 2500, 3500, 3700, 4000)),
        st.none() | st.tuples(UNITS, near(700, 1500, 3500)),
        st.lists(st.tuples(UNITS, near(40, 254, 1012, 1016, 1024)), max_size=27),
        st.tuples(UNITS.filter(lambda unit: "\n" not in unit and ":" not in unit), near(160)),
        near(60, 1898, 1000),
        st.tuples(UNITS, near(1016)),
    )
    @example(("x", 6000), None, None, [], ("x", 5), 5, ("x", 5))
    @example(("x", 5), ("…", 300), None, [], ("…", 5), 5, ("…", 5))
    @example(("x", 5), None, None, [("x", 5)] * 24, ("x", 5), 5, ("x", 5))
    @example(("x", 5), None, None, [("x", 5)] * 25, ("x", 5), 5, ("x", 5))
    def test_standard_cards_that_are_cut_have_a_file(  # noqa: PLR0917 - what a card has
        self,
        body: tuple[str, int],
        error: tuple[str, int] | None,
        stack: tuple[str, int] | None,
        extra: list[tuple[str, int]],
        name: tuple[str, int],
        thread: int,
        context: tuple[str, int],
    ) -> None:
        """The position of the cut does not matter, and a text that looks cut is not enough."""
        record = logging.LogRecord(fill(*name) or "shop", 40, "orders.py", 42, "", (), None, "place")
        record.msg = f"id00000z {fill(*body)}"
        record.threadName = fill("t", thread) or "main"
        record.created = 1e9
        record.stack_info = fill(*stack) if stack else None
        if error:
            failure = raised(fill(*error))
            record.exc_info = (type(failure), failure, failure.__traceback__)
        for number, each in enumerate(extra):
            record.__dict__[f"key{number}"] = fill(*each) or "0"
        frozen = FrozenRecord(
            freezing.freeze(record, CardSettings(STANDARD, context={"service": fill(*context) or "shop"}))
        )
        message = compose([frozen], allowance=40).message
        assert bool(message.files) == (not is_whole(message.payload["embeds"][0], frozen))
        check([frozen], [compose([frozen], allowance=40)])

    @pytest.mark.parametrize(
        ("changes", "is_cut"),
        [
            ({}, False),
            ({"msg": "waiting…"}, False),
            ({"msg": "x" * 6000 + "…"}, True),
            ({"msg": "…" * 100 + "x" * 6000}, True),
            ({"msg": "x" * 4050}, False),
            ({"msg": "_" * 2500}, True),
            ({"name": "x" * 160}, False),
            ({"name": "x" * 161}, True),
            ({"name": "…" * 50}, False),
            ({"levelname": "x" * 61}, True),
            ({"funcName": "f" * 300}, True),
            ({"threadName": "t" * 2000}, True),
            ({"exc_text": "line…\n" * 50}, False),
            ({"exc_text": "line\n" * 5000}, True),
            ({"exc_text": "line\n" * 5000 + "…", "msg": "…"}, True),
            ({"stack_info": "line\n" * 5000}, True),
            ({"exc_info": raised("x" * 9000)}, True),
            ({"exc_info": raised("…")}, False),
            ({"own": "x" * 1016}, False),
            ({"own": "x" * 1017}, True),
            ({"own…": "…"}, False),
            ({"k" * 300: 1}, True),
            ({f"key{number}": 1 for number in range(25)}, False),
            ({f"key{number}": 1 for number in range(26)}, True),
            ({f"key{number}": "x" * 1000 for number in range(9)}, True),
            ({"\x00 ": ""}, False),
            ({"\x00 ": "b"}, True),
        ],
        ids=str,
    )
    def test_examples(self, changes: dict[str, Any], *, is_cut: bool) -> None:
        """An ellipsis is not a sign of a cut: the text may contain one."""
        record = logging.LogRecord("shop", 40, "orders.py", 42, "hello", (), None, "place")
        record.__dict__.update(changes)
        assert bool(compose([FrozenRecord(freezing.freeze(record, CardSettings(STANDARD)))]).message.files) is is_cut

    @pytest.mark.parametrize(
        ("part", "returned", "is_cut"),
        [
            ("title", "…" * 256, False),
            ("title", "x" * 257, True),
            ("title", "x" + " " * 300, False),
            ("description", "loading…", False),
            ("description", "x" * 4096, False),
            ("description", "x" * 4097, True),
            ("footer", "x" * 1898, False),
            ("footer", "x" * 1899, True),
            ("fields", [{"name": "a…", "value": "b…"}], False),
            ("fields", [{"name": "a", "value": "b" * 1025}], True),
            ("fields", [{"name": "a", "value": "b"}] * 26, True),
            ("fields", [5], False),
            ("fields", [{"name": "a", "value": "b" * 2000}, 5], False),
        ],
    )
    def test_overrides_that_are_cut_have_a_file(self, part: str, returned: object, *, is_cut: bool) -> None:
        """Only our cuts count, not the parts that an override leaves out, nor the cuts of one that failed."""
        formatter = type("Own", (EmbedFormatter,), {part: lambda *_: returned})()
        record = logging.LogRecord("shop", 40, "orders.py", 42, "hello", (), None, "place")
        assert bool(compose([FrozenRecord(freezing.freeze(record, CardSettings(formatter)))]).message.files) is is_cut

    def test_the_context_is_in_the_text_too(self) -> None:
        """The cut may concern a value of the handler."""
        record = logging.LogRecord("shop", 40, "orders.py", 42, "hello", (), None, "place")
        settings = CardSettings(STANDARD, context={"query": "x" * 2000})
        composed = compose([FrozenRecord(freezing.freeze(record, settings))])
        assert f"query={'x' * 2000}\n" in text_of_files(composed)


class TestLarge:
    """Some texts are made to keep the listener busy."""

    @pytest.mark.parametrize(
        "unit", ["x", "\x1b[", "\x1b]", "\x1b", "`", "_", "webhooks/1", URL, "\n", "\ud800", "…", "<@"]
    )
    def test_time_is_linear_in_a_text_of_anything(self, unit: str, takes_linear_time: Callable[..., bool]) -> None:
        """The time of every pattern is proportional to the text, and the message is valid."""

        def post(text: str) -> None:
            spec = Spec(text, 40, "ERROR", text, None, text, {"own": text}, 0, 0, 1, is_repeat=False)
            assert problems(carry([freeze(0, spec)])[0]) == []

        assert takes_linear_time(post, unit * (50_000 // len(unit)), unit * (200_000 // len(unit)))

    def test_a_traceback_of_ten_thousand_frames_is_quick(self) -> None:
        """The text is whole."""
        source = "def a(n):\n    b(n)\ndef b(n):\n    raise ValueError('id00000z the end')\n"
        scope: dict[str, Any] = {}
        exec(compile(source, "deep.py", "exec"), scope)  # noqa: S102 - two functions in a file of their own
        record = logging.LogRecord("shop", 40, "orders.py", 42, "id00000z", (), None, "place")
        try:
            scope["a"](0)
        except ValueError as error:
            record.exc_info = (type(error), error, error.__traceback__)
        frozen = FrozenRecord(freezing.freeze(record, CardSettings(STANDARD)))
        assert frozen.exception is not None
        frozen.exception._locations = list(frozen.exception._locations) * 5000
        began = time.thread_time()
        [card] = compose([frozen]).message.payload["embeds"]
        assert "[Previous 3 frames repeated 4" in card["description"]
        content = full_text(frozen)
        assert time.thread_time() - began < 20
        assert content.count('File "deep.py", line 2, in a') >= 4999
        assert content.endswith("ValueError: id00000z the end\n")

    def test_ten_thousand_records_are_one_message(self) -> None:
        """The file has all of them."""
        spec = Spec("logged in", 20, "INFO", "shop", None, None, {}, 0, 0, 1, is_repeat=False)
        records = [freeze(number, spec) for number in range(10_000)]
        [composed] = carry(records)
        assert problems(composed) == []
        assert HEADS.findall(text_of_files(composed)) == [f"{number:05}" for number in range(10_000)]
