"""A record survives its process as bytes, and its card stays the same, apart from carets."""

from __future__ import annotations

import enum
import glob
import logging
import marshal
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging import Attachment, EmbedFormatter, FrozenRecord
from discord_logging._cards.compose import lay_out
from discord_logging._cards.plain_text import full_text
from discord_logging._records import flat, frames
from discord_logging._records.flat import dump, load
from discord_logging._records.freeze import freeze
from discord_logging._records.record import NO_DETAILS
from discord_logging._records.settings import CardSettings
from discord_logging._records.values import UniqueText, UnquotedText
from tests.conftest import catch

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

SETTINGS = CardSettings(EmbedFormatter(), context={"service": "shop"})
NO_SETTINGS: dict[int, CardSettings] = {}
CARETS = re.compile(r"^ +[~^]+\n?", re.MULTILINE)


def make(msg: object = "hello", settings: CardSettings = SETTINGS, body: str | None = None, **attributes: Any) -> Any:
    """Return the result of `freeze`."""
    record = logging.LogRecord("shop", logging.ERROR, __file__, 42, msg, (), None, "buy")
    record.__dict__.update(attributes)
    return freeze(record, settings, body)


def info(call: Callable[..., object], *args: object) -> Any:
    error = catch(call, *args)
    return type(error), error, error.__traceback__


def card(record: FrozenRecord) -> Any:
    """Return the card of a record without carets."""
    embed: Any = lay_out(record)
    return {**embed, "description": CARETS.sub("", embed.get("description", ""))}


def travel(frozen: tuple[Any, ...], settings: CardSettings = SETTINGS) -> FrozenRecord:
    """Return the record that arrives."""
    found = {settings.number: settings}
    return load(dump(frozen), found.__getitem__)


def stumble(depth: int = 0) -> None:
    if depth:
        stumble(depth - 1)
    try:
        int("x")
    except ValueError as error:
        raise LookupError("no order") from error


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    message=st.text(st.characters()),
    value=VALUES,
    created=st.floats(),
    lineno=st.integers() | st.none(),
    depth=st.none() | st.integers(0, 80),
    body=st.none() | st.text(st.characters()),
)
def test_any_record_survives(message: str, value: object, created: float, body: str | None, **numbers: Any) -> None:
    """The card, the line in a file and what it is compared by stay the same."""
    attributes = {"value": value, "created": created, "lineno": numbers["lineno"]}
    if numbers["depth"] is not None:
        attributes["exc_info"] = info(stumble, numbers["depth"])
    frozen = make(message, body=body, **attributes)
    record, copy = FrozenRecord(frozen), travel(frozen)
    assert card(copy) == card(record)
    assert CARETS.sub("", full_text(copy, for_card=True)) == CARETS.sub("", full_text(record, for_card=True))
    assert repr(copy.fingerprint()) == repr(record.fingerprint())  # NaN is not equal to itself
    assert copy.kind() == record.kind()


class Level(enum.IntEnum):
    LOUD = 45


class OddText(str):
    __slots__ = ()

    def __str__(self) -> str:  # noqa: D105 - see the class
        return "odd"


class OddNumber(int):
    pass


class OddFloat(float):
    pass


class Hostile:
    def __str__(self) -> str:  # noqa: D105 - see the class
        raise RuntimeError("no")

    __float__ = __str__


@pytest.mark.parametrize(
    "attributes",
    [
        {"levelno": Level.LOUD, "levelname": "LOUD"},
        {"levelno": OddNumber(30), "lineno": OddNumber(3)},
        {"name": OddText("shop"), "threadName": OddText("a")},
        {"created": OddFloat(1e9), "process": 10**5_000 if sys.version_info < (3, 11) else 2**100},
        {"levelno": None, "created": Hostile(), "relativeCreated": Hostile()},
        {"pathname": b"bytes", "funcName": frozenset({"x"}), "lineno": [1]},
        {"name": Hostile(), "levelname": "\ud800\udc00"},
        {"processName": marshal, "created": float("nan")},
    ],
    ids="-".join,
)
def test_a_record_that_was_made_by_hand_survives(attributes: dict[str, Any]) -> None:
    """The other types become texts and numbers; code that looks like a value stays here."""
    frozen = make(**attributes)
    assert card(travel(frozen)) == card(FrozenRecord(frozen))


@pytest.mark.parametrize(
    "value",
    [
        10**5_000,
        float("nan"),
        "\ud800\x00",
        UniqueText("id-1"),
        [UnquotedText("1 more"), {UnquotedText("a"): UniqueText("b")}],
        {(): 1, None: 2, 1.5: (3,)},
        Attachment(b"\x00\x01", "a.bin"),
        [Attachment("/srv/report.csv"), Attachment(object())],  # type: ignore[arg-type]  # what a user may give
        Level.LOUD,
        OddText("x"),
        OddFloat(2.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_all_kinds_survive(value: object) -> None:
    """Their types do, too: a text that differs each time does not count in a comparison."""
    frozen = make(value=value, more={"in": [value]})
    original, copy = FrozenRecord(frozen), travel(frozen)
    assert dump(copy._snapshot) == dump(frozen)
    assert full_text(copy) == full_text(original)
    assert copy.attachments == original.attachments
    assert type((copy.extra or {})["value"]) is type((original.extra or {})["value"])


def test_a_large_file_is_left_behind() -> None:
    """The card tells so, and a path is kept."""
    copy = travel(make(file=Attachment(bytes(40_000), "dump.bin")))
    (file,) = copy.attachments
    assert (file.name, file.held_bytes) == ("dump.bin", 0)
    with pytest.raises(ValueError, match="its content was lost with the process that logged it"):
        file.read(SETTINGS.masker)


@pytest.mark.parametrize(
    "attributes",
    [
        {"msg": "🛒" * 5_000_000},
        {"msg": "🛒" * 20_000},
        {f"value{number}": "é" * 1_000 for number in range(400)},
        {"stack_info": "Stack (most recent call last):\n" + "x" * 100_000},
        {"exc_info": info(lambda: int("9" * 100_000 + "x")), "file": Attachment(bytes(30_000))},
        {f"file{number}": Attachment(bytes(30_000)) for number in range(5)},
    ],
    ids=lambda attributes: f"{next(iter(attributes))}-{len(str(attributes))}",
)
def test_a_large_record_is_cut(attributes: dict[str, Any]) -> None:
    """The cut says how much is left out; the place stays."""
    frozen = make(**attributes)
    assert len(dump(frozen)) <= 65_536
    copy = travel(frozen)
    assert (copy.lineno, copy.levelname) == (42, "ERROR")
    assert len(full_text(copy)) > 100
    if "msg" in attributes:
        assert "characters are left out" in copy.message


def test_a_group_and_its_notes_survive() -> None:
    """All links stay."""
    inner = ExceptionGroup("inner", [ValueError("a"), ValueError("a")])
    error = BaseExceptionGroup("outer", [catch(stumble), catch(stumble, 1), inner])
    error.__dict__["__notes__"] = ["first", "second\nline"]
    frozen = make(exc_info=(type(error), error, error.__traceback__))
    original, copy = FrozenRecord(frozen).exception, travel(frozen).exception
    assert original
    assert copy
    assert copy.fingerprint() == original.fingerprint()
    assert [len(each.members) for each in copy.linked()] == [len(each.members) for each in original.linked()]
    assert copy.members[0].cause


def test_a_chain_may_be_longer_than_the_stack_is_deep() -> None:
    """The links are numbers."""
    error: BaseException = ValueError("0")
    for number in range(1, 3_000):
        later = ValueError(str(number))
        later.__cause__ = error
        error = later
    exception = travel(make(exc_info=(type(error), error, None))).exception
    assert exception
    assert len(exception.linked()) == 501  # the last says "more"


def test_a_recursion_stays_small() -> None:
    """Its thousand frames have one name."""
    frozen = make(exc_info=info(stumble, 500))
    assert len(dump(frozen)) < 8_000
    assert travel(frozen).fingerprint() == FrozenRecord(frozen).fingerprint()


def test_the_frames_are_those_of_the_process_that_reads() -> None:
    """Source, short path and library are found when the record is read; carets need the code, which is gone."""
    original, copy = (make(exc_info=info(glob.glob, 5)), make(exc_info=info(stumble)))
    for frozen in (original, copy):
        before, after = FrozenRecord(frozen).exception, travel(frozen).exception
        assert before
        assert after
        assert [frame._replace(lines=frame.lines[:2]) for frame in before.stack] == list(after.stack)
        assert (after.places(), after.lines) == (before.places(), before.lines)


def test_equal_code_of_many_files_keeps_its_file() -> None:
    """Code objects compare without their file, and another one may get the id of one that is gone."""
    for number in range(600):
        name = f"generated_{number}.py"
        namespace: dict[str, Any] = {}
        exec(compile("def fail(): int('x')", name, "exec"), namespace)  # noqa: S102 - the code stands here
        exception = travel(make(exc_info=info(namespace["fail"]))).exception
        assert exception
        assert exception.places()[-1] == (name, "fail")


def test_local_variables_survive_unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are masked when the variables are shown; frames of libraries show none."""
    settings = CardSettings(EmbedFormatter(), show_locals="all")
    secret = "hunter" + "2" * 5

    def fail() -> None:
        password, order = secret, {"id": 17}
        raise ValueError(bool(password and order))

    frozen = make(settings=settings, exc_info=info(fail))
    assert secret.encode() in dump(frozen)
    original, copy = FrozenRecord(frozen).exception, travel(frozen, settings).exception
    assert original
    assert copy
    assert copy.stack[-1].variables == original.stack[-1].variables != ()
    assert secret not in str(copy.stack[-1].variables)
    read = frames.read_frames_at
    monkeypatch.setattr(flat, "read_frames_at", lambda *where: [each._replace(library="x") for each in read(*where)])
    copy = travel(frozen, settings).exception
    assert copy
    assert copy.stack[-1].variables == ()


def test_what_cannot_be_kept_leaves_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller of `logging` gets no exception."""

    def fail(*_: object) -> None:
        raise RecursionError

    frozen = make("a", exc_info=info(stumble), value=5, stack_info="Stack", created=OddFloat(5))
    monkeypatch.setattr(flat, "_link", fail)
    copy = travel(frozen)
    assert (copy.message, copy.exc_text, copy.stack_info) == ("a", "LookupError: no order", "Stack")
    assert copy.extra is None
    monkeypatch.setattr(flat, "_link", lambda _: [object()])
    assert travel(frozen).exc_text == "LookupError: no order"
    monkeypatch.setattr(flat, "_make_exact", fail)
    assert travel(make("b", levelno=Level.LOUD)).message == "b"


def test_a_plain_record_is_small_and_has_no_class() -> None:
    """Most records have no details."""
    head, number, tail, details = marshal.loads(dump(make()))  # noqa: S302 - this test has written them
    assert (number, details) == (SETTINGS.number, None)
    assert {type(part) for part in (*head, *tail)} == {str, int, float, type(None)}
    assert len(dump(make())) < 400
    assert travel(make())._snapshot.details is NO_DETAILS


def test_the_settings_are_found_by_their_number() -> None:
    """The process that reads may not have them."""
    assert travel(make()).settings is SETTINGS
    with pytest.raises(KeyError):
        load(dump(make()), NO_SETTINGS.__getitem__)


@pytest.mark.parametrize(
    "data",
    [
        (),
        5,
        ("x",) * 4,
        (("x",) * 5, SETTINGS.number, ("x",) * 9, (1, 2)),
        (("x",) * 5, SETTINGS.number, ("x",) * 9, (None, [5], None, None, None)),
        (("x",) * 5, SETTINGS.number, ("x",) * 8, None),
    ],
)
def test_other_data_are_an_error(data: Any) -> None:
    """Another version of the package may have written them."""
    with pytest.raises(Exception, match=r".*"):
        load(marshal.dumps(data, 2), {SETTINGS.number: SETTINGS}.__getitem__)


def other_pythons() -> list[str]:
    """Return the other interpreters beside this one."""
    own = Path(sys.base_prefix)
    return sorted(str(path) for path in own.parent.glob("3.1*/bin/python3") if own not in path.parents)


_COPY = "import marshal, sys; marshal.dump(marshal.load(sys.stdin.buffer), sys.stdout.buffer, 2)"


@pytest.mark.skipif(not other_pythons(), reason="there is one Python here")
def test_another_python_reads_and_writes_the_same() -> None:
    """A program may be restarted with a new one."""
    data = dump(make(exc_info=info(stumble), value=(1, 2.5, "\ud800", 10**30, None, True, UniqueText("id"))))
    for python in other_pythons():
        done = subprocess.run([python, "-ISc", _COPY], input=data, capture_output=True, check=False, timeout=60)
        assert (done.stdout, done.stderr) == (data, b"")
