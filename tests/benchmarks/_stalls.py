"""A search for texts that take a function long: the time grows faster than the text, or other threads have to wait.

Each text repeats a short seed, which is made of pieces that have a meaning for some function. The search tries many
seeds with short texts, and grows those that took the longest up to a megabyte.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from datetime import timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_logging._cards.compose import compose
from discord_logging._cards.embeds import EmbedFormatter
from discord_logging._cards.plain_text import ansi_line, full_text
from discord_logging._cards.traceback_card import format_card
from discord_logging._cards.traceback_text import format_exception
from discord_logging._cli.lines.records import LineRecords
from discord_logging._masking.masker import SecretMasker
from discord_logging._records.exceptions import FrozenException
from discord_logging._records.frames import Frame
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import to_json
from discord_logging._records.record import FrozenRecord
from discord_logging._records.settings import CardSettings
from discord_logging._records.values import freeze_value, show_value, value_line
from discord_logging._text.markdown import break_fences, code_block, escape_markdown, plain, shorten
from discord_logging._text.sanitize import clean
from discord_logging._text.split import split_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Work = Callable[[], object]

PIECES = (
    *("-H 'Cookie: a=b' ", "password=", "password: ", "--password ", "token", "api key", "Authorization: Bearer "),
    *("('cookie', 'x')", '"secret": "x"', "secret=[", "secret=(", "secret='", 'secret="', "auth%3D", "pwd:=", "sk-"),
    *(
        "eyJ",
        "eyJaaaa.bbbb.",
        "ghp_",
        "://a:",
        "://",
        "https://",
        "a@b",
        "@",
        "-----BEGIN PRIVATE KEY-----",
        "-----END",
    ),
    *("-----BEGIN PRIVATE KEY", "webhooks/1/", "webhooks/", "`", "```", "```py\n", "`\u200b", "*", "_", "~", "|", "||"),
    *("<", ">", "</", "<@1>", "<:a:1>", ":a:", ":", "[", "]", "(", ")", "{", "}", "[](", "'", '"', '\\"', "\\", "\\\\"),
    *(
        "%25",
        "%",
        "&amp;",
        "&",
        "=",
        ";",
        ",",
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\\n",
        "\f",
        "\x1b[",
        "\x1b]",
    ),
    *("\x1b[31m", "\0", "0", "1.", "2026-01-02", "03:04:05", "[INFO]", "ERROR ", "x", "X", ".", "..", "-", "--", "# "),
    *(
        "> ",
        "…",
        "\u200b",
        "\u202e",
        "\ud800",
        "\U0001f3f4\U000e0067",
        "é",
        "İ",
        "  File ",
        '  File "a.py", line 1, in f\n',
    ),
    *("Traceback (most recent call last):\n", "ValueError: ", "    x\n", "\tat a.b(C.java:1)\n", "a=1 ", '{"a":', "__"),
)
"""The pieces of which seeds are made."""
SIZES = (131_072, 262_144, 524_288, 1_048_576)
"""The lengths to which a text is grown, in characters."""
MAX_SECONDS = 0.5
MAX_EXPONENT = 1.3
MAX_PAUSE = 0.005
_TRIED = (16_384, 65_536)
"""The lengths with which seeds are tried."""
_MAX_PIECES = 4
_KEPT = 2
"""The number of seeds of each function that are grown, each for their time and for its growth."""
_CLEAR = 0.002
"""The shortest time whose growth can be told from noise, in seconds."""
_HOPELESS = 4 * MAX_SECONDS
"""The time of a text that is not measured again, in seconds."""
_REPEAT = 3
_SEARCH_SHARE = 0.6
"""The part of the time that goes into the search."""
_LIMIT = 4_000
_UNMASKED = CardSettings(EmbedFormatter(), masker=SecretMasker([]))


class Seed(NamedTuple):
    """The parts of a text: one piece, any number of repetitions of another, and a last piece."""

    before: str
    repeated: str
    after: str

    def text(self, size: int) -> str:
        """Return a text of about `size` characters."""
        return self.before + self.repeated * max(size // len(self.repeated), 1) + self.after

    def __repr__(self) -> str:
        return f"{self.before!r} + {self.repeated!r} * n + {self.after!r}"


class Growth(NamedTuple):
    """The result of growing a seed.

    Attributes:
        size: The length of the longest text that was tried, in characters.
        seconds: The processor time that this text took.
        exponent: The power of the length with which the time grows; 1 stands for times that are too short.
        pause: The longest time for which another thread had to wait meanwhile, in seconds.
    """

    size: int
    seconds: float
    exponent: float
    pause: float = 0.0

    @property
    def is_too_slow(self) -> bool:
        """Whether the function takes too long, or more than in proportion to the text."""
        return self.seconds > MAX_SECONDS or self.exponent > MAX_EXPONENT

    @property
    def seconds_for_all(self) -> float:
        """The time for a text of the largest size, estimated from the longest text that was tried."""
        return self.seconds * SIZES[-1] / self.size

    def worst_of(self, other: Growth) -> Growth:
        """Return the worse of each number."""
        seconds = max(self.seconds_for_all, other.seconds_for_all)
        return Growth(SIZES[-1], seconds, max(self.exponent, other.exponent), max(self.pause, other.pause))

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s for {self.size:,} characters, exponent {self.exponent:.2f},"


def seeds(number: int) -> Iterator[Seed]:
    """Yield every piece alone, and then combinations without end, which are the same for the same number."""
    yield from (Seed("", piece, "") for piece in PIECES)
    choose = random.Random(number)  # noqa: S311 - the number is not a secret
    while True:
        repeated = "".join(choose.choices(PIECES, k=choose.randint(1, _MAX_PIECES)))
        before, after = ("".join(choose.choices(PIECES, k=choose.randint(0, 1))) for _ in range(2))
        yield Seed(before, repeated, after)


def _record(text: str, **attributes: Any) -> FrozenRecord:
    return FrozenRecord(freeze(logging.makeLogRecord({"name": "shop", "msg": text, **attributes}), _UNMASKED))


def _mask_values(text: str) -> Work:
    values = {"texts": text.split(" ", 10_000)}
    return lambda: SecretMasker().mask_value("values", values)


def _exception(text: str) -> FrozenException:
    half = len(text) // 2
    frame = Frame("a.py", 1, "f", "a.py", None, ('  File "a.py", line 1, in f', f"    {text[:200]}"))
    return FrozenException("ValueError", f"ValueError: {text[:half]}", (text[half:],), frames=[frame] * 30)


def _split(text: str) -> FrozenRecord:
    """Return a record with all parts that may be long, each with a quarter of the text."""
    quarter = len(text) // 4
    first, second, third, fourth = (text[index * quarter : (index + 1) * quarter] for index in range(4))
    return _record(first, exc_text=second, stack_info=third, own=fourth)


def _parse(text: str) -> Work:
    # Many short lines take their time because they become many records.
    lines = text.encode(errors="replace").decode().split("\n", 1_000)

    def work() -> object:
        records = LineRecords("stdin", logging.INFO)
        return [*itertools.chain.from_iterable(map(records.feed, lines)), *records.finish()]

    return work


def _values(text: str) -> Work:
    value = {"text": text, "parts": text.split(" ", 10_000), text: {"bytes": text.encode(errors="replace")}}

    def work() -> object:
        frozen = freeze_value(value)
        return value_line(frozen), show_value(frozen, _LIMIT), value_line(text), show_value(text, _LIMIT)

    return work


def _of(function: Callable[[str], object]) -> Callable[[str], Work]:
    """Return a function that prepares a call of `function`."""
    return lambda text: lambda: function(text)


def _of_record(function: Callable[[FrozenRecord], object]) -> Callable[[str], Work]:
    return lambda text: functools.partial(function, _split(text))


WORK: dict[str, Callable[[str], Work]] = {
    "SecretMasker.mask": _of(SecretMasker().mask),
    "SecretMasker.mask_value": _mask_values,
    "escape_markdown": _of(escape_markdown),
    "plain": _of(lambda text: plain(text, _LIMIT)),
    "clean": _of(clean),
    "shorten": _of(lambda text: shorten(text, len(text) // 2)),
    "code_block": _of(lambda text: code_block(text, len(text) // 2)),
    "code_block of the end": _of(lambda text: code_block(text, _LIMIT, keep_end=True)),
    "split_text": _of(lambda text: split_text(text, 2_000)),
    "break_fences": _of(break_fences),
    "format_card": lambda text: functools.partial(format_card, _exception(text), _LIMIT),
    "format_exception": lambda text: functools.partial(format_exception, _exception(text)),
    "ansi_line": _of_record(lambda record: ansi_line(record, timezone.utc)),
    "full_text": _of_record(full_text),
    "compose": _of_record(lambda record: compose([record])),
    "to_json": _of_record(lambda record: to_json(record, {})),
    "LineRecords.feed": _parse,
    "freeze_value, show_value": _values,
}
"""For each function a function that prepares its call with a text. All but the first two do without masking."""


def cost(work: Work) -> float:
    """Return the processor time of a call, which the load of the machine hardly affects, in seconds."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def grow(prepare: Callable[[str], Work], seed: Seed, sizes: Sequence[int] = SIZES) -> Growth:
    """Measure longer and longer texts, until one takes too long.

    A bad result is measured again, and the best counts.
    """
    times: dict[int, float] = {}
    for turn in range(_REPEAT):
        for size in list(times) if turn else sizes:
            times[size] = min(cost(prepare(seed.text(size))), times.get(size, math.inf))
            if times[size] > MAX_SECONDS:
                break
        growth = Growth(max(times), times[max(times)], _exponent(times))
        if not growth.is_too_slow or growth.seconds > _HOPELESS:
            break
    longest = max((size for size, seconds in times.items() if seconds <= MAX_SECONDS), default=_TRIED[0])
    pauses = [longest_pause(prepare(seed.text(longest))) for _ in range(_REPEAT if growth.seconds < _HOPELESS else 1)]
    return growth._replace(pause=min(pauses))


def _exponent(times: Mapping[int, float]) -> float:
    """Return the slope of the times over the sizes, both as logarithms, by least squares."""
    points = [(math.log(size), math.log(seconds)) for size, seconds in times.items() if seconds >= _CLEAR]
    if len(points) < 2:
        return 1.0
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread: float = sum((x - mean_x) ** 2 for x, _ in points)
    return sum(((x - mean_x) * (y - mean_y) for x, y in points), 0.0) / spread


def longest_pause(work: Callable[[], object]) -> float:
    """Return the longest time for which another thread that wakes up has to wait while `work` runs, in seconds."""
    worst, is_done = 0.0, False

    def watch() -> None:
        nonlocal worst
        while not is_done:
            began = time.perf_counter()
            time.sleep(1e-4)
            worst = max(worst, time.perf_counter() - began - 1e-4)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        is_done = True
        thread.join()
    return worst


def search(number: int, seconds: float, report: Callable[..., object], *, quick: bool = False) -> None:
    """Report the worst result of each function, and the failures: the functions that are too slow, with their seeds.

    Args:
        number: The number that the seeds depend on.
        seconds: The approximate time of the search.
        report: A function that takes the results.
        quick: Whether texts are not grown beyond the first size.
    """
    began = time.monotonic()
    tried: dict[str, dict[Seed, tuple[float, float]]] = {name: {} for name in WORK}
    for seed in seeds(number):
        if time.monotonic() > began + seconds * _SEARCH_SHARE:
            break
        for name, prepare in WORK.items():
            # If the function does not return, this is the last line of the report.
            report(trying=f"{name} with {seed}")
            short, long = (cost(prepare(seed.text(size))) for size in _TRIED)
            tried[name][seed] = long, (long / short if long > _CLEAR else 0.0)
    failures = []
    for name, costs in tried.items():
        worst = Growth(SIZES[-1], 0.0, 0.0)
        for seed in _slowest(costs):
            report(trying=f"{name} with {seed}")
            growth = grow(WORK[name], seed, SIZES[:1] if quick else SIZES)
            worst = worst.worst_of(growth)
            if growth.is_too_slow:
                failures.append(f"{name}: {growth} with {seed}")
                break
        report(**{name: worst._asdict()})
    report(seeds=len(tried[name]), failures=failures)


def _slowest(costs: dict[Seed, tuple[float, float]]) -> Iterable[Seed]:
    """Return the seeds that took the longest, and those whose time grew the most."""
    rankings = (sorted(costs, key=lambda seed: costs[seed][index], reverse=True)[:_KEPT] for index in (0, 1))
    return dict.fromkeys(itertools.chain.from_iterable(rankings))
