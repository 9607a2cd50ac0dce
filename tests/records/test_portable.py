"""A frozen record as plain data, and back, also in another process of another machine."""

from __future__ import annotations

import json
import linecache
import logging
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import lay_out
from discord_logging._cards.plain_text import full_text
from discord_logging._cards.traceback_text import format_exception
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import from_data, to_json
from discord_logging._records.settings import CardSettings
from tests.conftest import catch

if TYPE_CHECKING:
    from pathlib import Path

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

SETTINGS = CardSettings(EmbedFormatter(), context={"service": "shop"}, source_url="https://x.example/{path}#L{line}")


def make(msg: object = "hello", settings: CardSettings = SETTINGS, **attributes: Any) -> FrozenRecord:
    """Return a frozen record."""
    record = logging.LogRecord("shop", logging.ERROR, __file__, 42, msg, (), None, "buy")
    record.__dict__.update(attributes)
    return FrozenRecord(freeze(record, settings))


def stumble(depth: int = 0) -> None:
    if depth:
        stumble(depth - 1)
    try:
        json.loads("{")
    except ValueError as error:
        raise LookupError("no order") from error


def to_data(record: FrozenRecord) -> Any:
    """Return the data of a record, which must be JSON as all programs read it."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(to_json(record, {}), parse_constant=refuse)


def travel(record: FrozenRecord, settings: CardSettings = SETTINGS) -> FrozenRecord:
    """Return the record that arrives through JSON."""
    return from_data(to_data(record), settings)


def attributes(record: FrozenRecord) -> dict[str, Any]:
    """Return all attributes that a formatter may read, without the exception, which is a separate object."""
    names = [name for name in vars(FrozenRecord) if not name.startswith("_")]
    values = {name: getattr(record, name) for name in names if name not in ("exception", "zone", "size")}
    return {name: value for name, value in values.items() if not callable(value)}


def test_everything_that_a_card_shows_survives() -> None:
    """The card, the line in a file and every attribute are the same."""
    error = catch(stumble, 3)
    error.__dict__["__notes__"] = ["first", "second\nline"]
    record = make(
        "order %s",
        exc_info=(type(error), error, error.__traceback__),
        order={"id": 17, "items": ("tea", 2.5)},
        taskName="t",
    )
    copy = travel(record)
    assert attributes(copy) == attributes(record)
    assert lay_out(copy) == lay_out(record)
    assert full_text(copy, for_card=True) == full_text(record, for_card=True)
    assert copy.fingerprint() == record.fingerprint()
    assert copy.kind() == record.kind()
    assert travel(copy).fingerprint() == record.fingerprint()


def test_equal_errors_of_a_pool_of_threads_are_repeats() -> None:
    """Threads have names of their own, and the records come from several processes with settings of one digest."""

    def fail(_: int) -> FrozenRecord:
        error = catch(stumble)
        return make("no tea", exc_info=(type(error), error, error.__traceback__), taskName=f"Task-{_}", process=_)

    with ThreadPoolExecutor(4) as pool:
        records = list(pool.map(fail, range(8), timeout=60))
    copies = [travel(record) for record in records]
    assert len({copy.threadName for copy in [*copies, travel(make())]}) > 1
    assert len({copy.fingerprint() for copy in copies}) == 1
    assert len({record.fingerprint() for record in records}) == 1


@pytest.mark.parametrize("body", ["<<hello>>", "", "hello"])
def test_the_text_of_another_formatter_survives(body: str) -> None:
    """The card shows it, and what was logged still tells the record from others."""
    record = FrozenRecord(freeze(logging.LogRecord("shop", 40, "a.py", 1, "hello", (), None), SETTINGS, body))
    copy = travel(record)
    assert (copy.message, copy.logged) == (record.message, record.logged) == (body, "hello")
    assert copy.fingerprint() == record.fingerprint()


def test_data_name_no_class_and_hold_no_code() -> None:
    """JSON keeps the data, and settings are kept beside them."""
    data = to_data(make())
    assert "settings" not in data
    assert "EmbedFormatter" not in json.dumps(data)
    assert {"exceptions", "extra", "exc_text", "stack_info", "taskName"} & data.keys() == set()
    assert len(json.dumps(data)) < 600


def test_secrets_stay_in_the_process() -> None:
    """Messages, values, texts, notes and source lines of exceptions are masked."""
    secret = "hunter" + "2" * 5
    source = f"def fail():\n    raise ValueError(dict(password='{secret}'))\n"
    scope: dict[str, Any] = {}
    linecache.cache["/srv/orders.py"] = (len(source), None, source.splitlines(keepends=True), "/srv/orders.py")
    exec(compile(source, "/srv/orders.py", "exec"), scope)  # noqa: S102 - source of our own
    error = catch(scope["fail"])
    error.__dict__["__notes__"] = [f"password: {secret}"]
    record = make(
        f"password={secret}",
        exc_info=(type(error), error, error.__traceback__),
        password=secret,
        headers={"Authorization": f"Bearer {secret}"},
        stack_info=f"password={secret}",
    )
    text = to_json(record, {}).decode()
    assert secret not in text
    assert "raise ValueError" in text
    assert secret not in full_text(travel(record), for_card=True)


@pytest.mark.parametrize(
    "text",
    [
        "login with password=hunter22222 failed, token: aB3xK9qLmN7pQrStUvWxYz01",
        '{"apiKey": "aB3xK9qLmN7pQrStUvWxYz01", "user": "ada", "password": ["hunter22222"]}',
        "GET /orders?token=hunter22222&page=2 HTTP/1.1\nAuthorization: Bearer aB3xK9qLmN7pQrStUvWxYz01\nCookie: a=b",
        "postgresql://shop:hunter22222@db.example/shop",
        "mysql -u shop -phunter22222 --password hunter22222 shop",
        "INSERT INTO users (name, password) VALUES ('ada', 'hunter22222')",
        "headers: [('X-API-Key', 'aB3xK9qLmN7pQrStUvWxYz01'), ('Accept', '*/*')]",
        "\x1b[31mpassword\x1b[0m=hunter22222 **password** = `hunter22222`",
    ],
)
def test_a_text_that_is_masked_already_stays_as_it_is(text: str) -> None:
    """The process that shows the record masks it once more, together with the text around it."""
    record = make(f"failed: {text}", value=text, pairs=[("password", "hunter22222")], stack_info=text)
    copy = travel(record)
    assert "hunter22222" not in full_text(copy)
    assert attributes(copy) == attributes(record)
    assert lay_out(travel(copy)) == lay_out(copy) == lay_out(record)
    assert full_text(travel(copy)) == full_text(copy) == full_text(record)


def test_a_chain_and_a_group_survive() -> None:
    """They keep their links, whatever these are."""
    members = [catch(stumble), catch(stumble, 1), ExceptionGroup("inner", [ValueError("a"), ValueError("a")])]
    error = catch(lambda: (_ for _ in ()).throw(ExceptionGroup("outer", members)))  # type: ignore[type-var]
    record = make(exc_info=(type(error), error, error.__traceback__))
    copy = travel(record)
    assert record.exception
    assert copy.exception
    assert format_exception(copy.exception) == format_exception(record.exception)
    assert copy.exception.members[0].cause
    assert copy.exception.type_name == record.exception.type_name


def test_a_chain_may_be_longer_than_the_stack_is_deep() -> None:
    """The links are numbers."""
    error: BaseException = ValueError("0")
    for number in range(1, 3_000):
        later = ValueError(str(number))
        later.__cause__ = error
        error = later
    assert len(to_data(make(exc_info=(type(error), error, None)))["exceptions"]) == 501  # the last says "more"
    assert travel(make(exc_info=(type(error), error, None))).exception


@pytest.mark.parametrize(
    "value",
    [
        10**5_000,
        -(2**60),
        float("nan"),
        float("inf"),
        1e-300,
        "\ud800\x00",
        ("one",),
        (),
        [],
        {},
        {(): 1, None: 2, 1.5: 3},
    ],
    ids=lambda value: repr(value)[:12] if not isinstance(value, int) else f"{value:#x}"[:8],
)
def test_values_that_json_has_no_form_for_survive(value: object) -> None:
    """Examples are large numbers, tuples, keys that are not texts, and texts that are not UTF-8."""
    record = make(value=value, nested=[{"in": value}])
    assert full_text(travel(record)) == full_text(record)
    assert lay_out(travel(record)) == lay_out(record)


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(message=st.text(st.characters()), value=JSON_LIKE, created=st.floats(), lineno=st.integers() | st.none())
def test_any_record_survives(message: str, value: object, created: float, lineno: int | None) -> None:
    """The card and the line stay the same."""
    record = make(message, value=value, created=created, lineno=lineno)
    copy = travel(record)
    assert full_text(copy) == full_text(record)
    assert lay_out(copy) == lay_out(record)


class OddText(str):
    __slots__ = ()


ALIKE = st.sampled_from([1, True, 1.0, "a", OddText("a"), "b", None, 0.0, -0.0, ["list"]])


@given(
    st.lists(
        st.fixed_dictionaries(
            dict.fromkeys(("lineno", "levelno", "levelname", "name", "funcName", "process", "taskName"), ALIKE)
            | {"created": st.sampled_from([1.6e9, 1.6e9 + 86_400 * 180, float("nan"), float("inf"), -1e300])}
            | {"exc_info": st.sampled_from([None, *(catch(stumble, depth) for depth in (0, 1, 3))])}
        ),
        max_size=8,
    )
)
def test_records_of_one_batch_keep_their_own_facts(batch: list[dict[str, Any]]) -> None:
    """Their shared parts are made once. Values may be equal and look different."""
    known: dict[Any, Any] = {}
    settings = CardSettings(EmbedFormatter())
    for number, facts in enumerate(batch):
        record = make(f"hello {number}", **facts, settings=settings if number % 3 else SETTINGS)
        assert to_json(record, known) == to_json(record, {})


def test_the_offset_from_utc_may_change_within_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock goes forward in spring."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        known: dict[Any, Any] = {}
        change = 1_711_846_800.0  # 2024-03-31 01:00 UTC
        offsets = [json.loads(to_json(make(created=change + moment), known))["origin"][3] for moment in (-1, 0)]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert offsets == [3_600, 7_200]


class _Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "name",
    [
        "name",
        "pathname",
        "lineno",
        "funcName",
        "process",
        "processName",
        "threadName",
        "levelno",
        "levelname",
        "created",
    ],
)
@pytest.mark.parametrize("value", [None, b"bytes", ["list"], _Hostile()], ids=lambda value: type(value).__name__)
def test_a_record_that_was_made_by_hand_survives(name: str, value: object) -> None:
    """Each attribute becomes a text, a number or None."""
    copy = travel(make(**{name: value}))  # type: ignore[arg-type]  # none of them is `settings`
    assert (copy.message, type(copy.levelno)) == ("hello", int)
    assert full_text(copy).rstrip().endswith("hello")
    assert travel(copy).message == "hello"


@pytest.mark.parametrize("data", [{}, {"message": "x"}, {**to_data(make()), "extra": {"unknown": 1}}])
def test_other_data_are_an_error(data: dict[str, Any]) -> None:
    """A later version may have written the store."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_data(data, SETTINGS)


def test_host_zone_and_paths_are_those_of_the_process_that_logged(tmp_path: Path) -> None:
    """The reading process has another directory, time zone and host name."""
    (tmp_path / "orders.py").write_text("def buy():\n    raise ValueError('no tea')\n", encoding="utf-8")
    script = """
import json, logging, socket, sys
socket.gethostname = lambda: "web-1"
import orders
from discord_logging import EmbedFormatter, FrozenRecord
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import to_json
from discord_logging._records.settings import CardSettings
try:
    orders.buy()
except ValueError:
    path = orders.__file__
    record = logging.LogRecord("shop", 40, path, 2, "failed", (), sys.exc_info(), "buy")
record.created = 1_000_000_000.0
print(to_json(FrozenRecord(freeze(record, CardSettings(EmbedFormatter()))), {}).decode())
"""
    env = {**os.environ, "TZ": "Asia/Kolkata", "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    output = subprocess.check_output([sys.executable, "-c", script], env=env, cwd=tmp_path, text=True, timeout=60)
    (tmp_path / "orders.py").unlink()
    copy = from_data(json.loads(output), SETTINGS)
    embed = lay_out(copy)
    assert "raise ValueError('no tea')" in embed["description"]
    assert 'File "orders.py", line 2, in buy' in embed["description"]
    assert "](https://x.example/orders.py#L2)" in embed["description"]
    assert embed["footer"]["text"].startswith("web-1 · ")
    assert socket.gethostname() != "web-1"
    assert full_text(copy, copy.zone).startswith("2001-09-09T07:16:40.000+05:30 ")
    assert copy.zone == timezone(timedelta(hours=5, minutes=30))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has no tzset")
def test_the_zone_stays_that_of_the_time_of_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summer time may be over when the record is shown."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        copy = travel(make(created=1_720_000_000.0))
        assert copy.zone == timezone(timedelta(hours=2))
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert full_text(copy, copy.zone).startswith("2024-07-03T11:46:40.000+02:00 ")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_digest_tells_settings_apart_that_show_differently() -> None:
    """The order of a mapping does not matter; another formatter means another look."""
    digests = [
        CardSettings(EmbedFormatter(), **changes).digest
        for changes in ({}, {"context": {"a": "1"}}, {"thread_id": "5"}, {"fields": ("a",)}, {"username": "\ud800"})
    ]
    digests.append(CardSettings(logging.Formatter()).digest)
    assert len(set(digests)) == 6
    first, second = ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    assert CardSettings(None, context=first).digest == CardSettings(None, context=second).digest
    assert len(digests[0]) == 32
