"""A log record, frozen on the caller's thread."""

from __future__ import annotations

import gc
import logging
import queue
import subprocess
import sys
import textwrap
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from discord_logging import FrozenException, FrozenRecord
from discord_logging._records import freeze as freezing
from discord_logging._records.record import Counts
from discord_logging._records.settings import CardSettings
from discord_logging._records.values import to_text

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup
from tests.conftest import catch

SETTINGS = CardSettings(None)


class _Hostile:
    """Raises an error whenever any attribute or method is used."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


class _Mutable:
    """An object whose text may change."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class _ReturnsNone:
    """Breaks the rule that `__str__` returns a str."""

    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307 - that is the point


class _Yells(str):
    """A str that changes whenever it is converted."""

    __slots__ = ()

    def __str__(self) -> str:
        return _Yells(self.upper())

    def __format__(self, _: str) -> str:
        raise RuntimeError("no format")


class _Timeless:
    """A time that cannot be converted to a float."""

    def __float__(self) -> float:
        raise RuntimeError("no time")


class _HostileError(Exception):
    """An exception that looks its attributes up in an attribute that it has lost."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __str__(self) -> str:
        raise RuntimeError("no str")


def make(msg: object = "hello", *args: object, exc_info: Any = None, **attributes: object) -> logging.LogRecord:
    """Return a record as `logging` makes it."""
    record = logging.LogRecord("shop.orders", logging.ERROR, "/srv/shop/orders.py", 42, msg, args, exc_info, "place")
    record.__dict__.update(attributes)
    return record


def freeze(record: logging.LogRecord) -> FrozenRecord:
    """Return the frozen record."""
    return FrozenRecord(freezing.freeze(record, SETTINGS))


def freeze_exception(exception: BaseException) -> FrozenException:
    """Return the frozen exception of a record with `exc_info`."""
    frozen = freeze(make(exc_info=(type(exception), exception, exception.__traceback__))).exception
    assert frozen is not None
    return frozen


def raise_from(cause: BaseException | None) -> None:
    """Raise an error with a cause while another one is handled."""
    try:
        dict[str, int]()["context"]
    except KeyError:
        raise ValueError("effect") from cause


def link(cause: BaseException, effect: BaseException) -> BaseException:
    """Return `effect`, caused by `cause`."""
    effect.__cause__ = cause
    return effect


def everything(frozen: FrozenException) -> list[FrozenException]:
    """Return the exception and all exceptions that are linked to it."""
    found = [frozen]
    for each in found:
        found += [linked for linked in (each.cause, each.context, *each.members) if linked]
    return found


class TestRecord:
    """Freezing the attributes and the message of a record."""

    def test_names_are_those_of_logging(self) -> None:
        """They are all attributes that a card may show."""
        record = make("order %s", 17)
        frozen = freeze(record)
        kept = set(vars(FrozenRecord)) & set(record.__dict__) - {"exc_text"}
        assert len(kept) >= 11
        assert "thread" not in kept
        assert {name: getattr(frozen, name) for name in kept} == {name: record.__dict__[name] for name in kept}
        assert (frozen.message, frozen.template, frozen.settings) == ("order 17", "order %s", SETTINGS)
        assert (frozen.exception, frozen.exc_text, frozen.extra, frozen.count) == (None, None, None, 1)

    @pytest.mark.parametrize("exc_info", [None, (ValueError, ValueError("no"), None)])
    def test_the_record_stays_as_it_was(self, exc_info: Any) -> None:
        """Other handlers get the record that the program logged."""
        record = make("order %s", [17], exc_info=exc_info, user={"id": 1}, stack_info="Stack:")
        before = dict(record.__dict__)
        freeze(record)
        assert record.__dict__ == before
        assert all(record.__dict__[name] is before[name] for name in before)

    def test_a_frozen_record_cannot_be_changed(self) -> None:
        """`counted` returns another record, which says the same."""
        frozen = freeze(make(created=3.0))
        for name in (*(name for name in vars(FrozenRecord) if not name.startswith("_")), "new"):
            with pytest.raises(AttributeError):
                setattr(frozen, name, None)
        counted = frozen.counted(Counts(5, 9.0, is_repeat=True))
        assert (frozen.count, frozen.last_created, frozen.is_repeat) == (1, 3.0, False)
        assert (counted.count, counted.last_created, counted.is_repeat) == (5, 9.0, True)
        assert (counted.name, counted.created, counted.message) == ("shop.orders", 3.0, frozen.message)

    @pytest.mark.parametrize(
        "created", [None, "now", 10**400, [], float("nan"), _Timeless()], ids=lambda value: str(value)[:5]
    )
    def test_an_invalid_time_becomes_nan(self, created: object) -> None:
        """A record that was made by hand may have any value there."""
        assert repr(freeze(make(created=created)).created) == "nan"

    def test_an_unknown_attribute_is_an_error(self) -> None:
        """A frozen record behaves like any object."""
        frozen = freeze(make())
        for _ in range(2):
            with pytest.raises(AttributeError):
                _ = frozen.thread  # type: ignore[attr-defined,unused-ignore]  # it is not kept

    def test_no_value_is_kept_alive(self) -> None:
        """An argument may be a request with a hundred megabytes, or a file."""

        class Request:
            pass

        request = Request()
        alive = weakref.ref(request)
        frozen = freeze(make("%s", request, exc_info=ValueError(request), request=request))
        template = freeze(make(request))
        del request
        gc.collect()
        assert alive() is None
        assert frozen.extra is not None
        assert "Request object" in str(frozen.extra["request"])
        assert "Request object" in template.message

    def test_later_changes_do_not_show(self) -> None:
        """The record shows the values at the time of the call."""
        numbers, user = [1], _Mutable("ann")
        frozen = freeze(make("%s by %s", numbers, user, user=user, numbers=numbers))
        numbers.append(2)
        user.text = "bob"
        assert frozen.message == "[1] by ann"
        assert frozen.extra == {"user": "ann", "numbers": [1]}

    @pytest.mark.parametrize(
        ("msg", "args", "message"),
        [
            ("100 %", (), "100 %"),
            ("%(a)s", ({"a": 1},), "1"),
            (ValueError("no"), (), "no"),
            (Markup("<b>"), (), "<b>"),
            (Markup("%s"), ("<b>",), "<b>"),
            ("%s", (Markup("<b>"),), "<b>"),
            (None, (), "None"),
            ("x" * 5_000_000, (), "x" * 5_000_000),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_messages_are_merged_at_once(self, msg: object, args: tuple[object, ...], message: str) -> None:
        """The result is a plain str."""
        frozen = freeze(make(msg, *args))
        assert frozen.message == message
        assert type(frozen.message) is str
        assert frozen.template == (msg if type(msg) is str else None)

    @pytest.mark.parametrize(
        ("msg", "args", "message"),
        [
            ("%s and %s", (1,), "%s and %s\nargs: (1,) (could not be merged: TypeError: not enough arguments "),
            ("no place", (1, "a"), "no place\nargs: (1, 'a') (could not be merged: TypeError: not all arguments "),
            ("%d", ("x",), "%d\nargs: ('x',) (could not be merged: TypeError: %d format: a "),
            ("%", (1,), "%\nargs: (1,) (could not be merged: ValueError: incomplete format)"),
            ("%s", (_Hostile(),), "%s\nargs: (<_Hostile that cannot be shown: RuntimeError>,) (could not be merged: "),
            (_Hostile(), (), "<_Hostile that cannot be shown: RuntimeError>\nargs: () (could not be merged: "),
            (_Hostile(), (1,), "<_Hostile that cannot be shown: RuntimeError>\nargs: (1,) (could not be merged: "),
        ],
        ids=["too few", "too many", "wrong type", "half a place", "hostile argument", "hostile", "hostile with one"],
    )
    def test_arguments_that_cannot_be_merged_are_shown(self, msg: object, args: Any, message: str) -> None:
        """The text includes the reason, and no argument is left out."""
        assert freeze(make(msg, *args)).message.startswith(message)

    @pytest.mark.parametrize(
        ("msg", "args"),
        [("password=%d", ("hunter2",)), ("user %s password=%s", ("hunter2",)), ("api_key: %s", ("hunter2", 1))],
    )
    def test_arguments_that_cannot_be_merged_show_no_secret(self, msg: str, args: tuple[object, ...]) -> None:
        """Nobody knows which argument belongs to the name of a secret."""
        message = freeze(make(msg, *args)).message
        assert "hunter2" not in message
        assert "args: *** (could not be merged: TypeError: " in message

    @given(
        template=st.text("%sdr.1(a) ", max_size=8) | st.sampled_from(["%s", "%d %s", "%5.1f", "%c", "%%", "%*d", "%x"]),
        args=st.lists(st.text(max_size=3) | st.integers(-(2**21), 2**21) | st.floats() | st.booleans() | st.none()),
    )
    def test_a_message_is_the_same_as_in_logging(self, template: str, args: list[Any]) -> None:
        """Our inlined copy of `getMessage` gives exactly the same text."""
        record = make(template, *args)
        try:
            merged = record.getMessage()
        except (TypeError, ValueError, OverflowError):
            assert "could not be merged" in freeze(record).message
        else:
            assert freeze(record).message == SETTINGS.masker.mask(merged)

    def test_a_patched_get_message_is_called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Programs patch it to format with braces."""
        monkeypatch.setattr(logging.LogRecord, "getMessage", lambda self: self.msg.format(*self.args))
        assert freeze(make("{} of {}", 1, 2)).message == "1 of 2"

    def test_a_get_message_that_was_patched_before_our_import_is_called(self) -> None:
        """A program may patch it before it imports us."""
        code = """
            import logging
            logging.LogRecord.getMessage = lambda self: self.msg.format(*self.args)
            from discord_logging._records.freeze import freeze
            record = logging.LogRecord("shop", logging.ERROR, "shop.py", 1, "{} of {}", (1, 2), None)
            print(freeze(record, None)[0])
        """
        command = [sys.executable, "-c", textwrap.dedent(code)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
        assert run.stdout == "1 of 2\n"

    def test_a_get_message_of_the_users_own_may_return_anything(self) -> None:
        """Libraries with another style of messages define their own."""

        class Record(logging.LogRecord):
            def getMessage(self) -> Any:  # noqa: N802 - the name that logging gave it
                return _Mutable("own")

        assert freeze(Record("a", 20, "a.py", 1, "{}", (), None)).message == "own"

    def test_the_text_of_another_formatter_takes_the_place_of_the_message(self) -> None:
        """The arguments are not merged then."""
        assert FrozenRecord(freezing.freeze(make(_Hostile()), SETTINGS, "body")).message == "body"

    @pytest.mark.parametrize(
        ("attributes", "levelno"), [({}, 0), ({"levelno": 25}, 25), ({"levelno": "ERROR"}, 0), ({"levelno": None}, 0)]
    )
    def test_a_record_made_from_a_dict_has_a_level(self, attributes: dict[str, object], levelno: int) -> None:
        """The backlog compares levels, so the level is always a number."""
        assert freeze(logging.makeLogRecord(attributes)).levelno == levelno

    def test_the_task_name_is_kept_where_logging_has_one(self) -> None:
        """This is so from Python 3.12 on; the name never counts as an `extra` value."""
        frozen = freeze(make(taskName="Task-1"))
        assert (frozen.taskName, frozen.extra) == ("Task-1" if sys.version_info >= (3, 12) else None, None)

    def test_an_unrelated_attribute_error_is_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A second attempt would fail again, without end."""

        def fail(*_: object) -> None:
            raise AttributeError("something else")

        monkeypatch.setattr(freezing, "_freeze_details", fail)
        with pytest.raises(AttributeError, match="something else"):
            freeze(make(order=17))

    @pytest.mark.parametrize("name", ["threadName", "pathname", "levelno", "exc_info", "stack_info", "taskName"])
    def test_a_record_without_some_attribute_is_frozen(self, name: str) -> None:
        """The other attributes stay, and the missing ones get the defaults of `logging`."""
        record = make("order %s", 17, shop="Oslo")
        record.__dict__.pop(name, None)
        frozen = freeze(record)
        assert (frozen.message, frozen.lineno, frozen.extra) == ("order 17", 42, {"shop": "Oslo"})
        assert name not in record.__dict__


class TestExtra:
    """Freezing the values that the user added to the record."""

    @pytest.mark.parametrize("value", ["text", 17, 1.5, True, None])
    def test_scalars_are_kept_as_they_are(self, value: object) -> None:
        """Scalars cannot change."""
        assert freeze(make(value=value)).extra == {"value": value}

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (_Mutable("now"), "now"),
            (ValueError("no"), "no"),
            (Markup("<b>"), "<b>"),
            (_Hostile(), "<_Hostile that cannot be shown: RuntimeError>"),
            (b"x", "b'x'"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_other_values_become_text(self, value: object, text: str) -> None:
        """The text is made at once, and is a plain str."""
        extra = freeze(make(value=value)).extra
        assert extra == {"value": text}
        assert type(extra["value"]) is str

    def test_containers_are_copied(self) -> None:
        """The copy is as deep as a reader would follow it."""
        orders = {"open": [1, 2]}
        frozen = freeze(make(orders=orders))
        orders["open"].append(3)
        assert frozen.extra == {"orders": {"open": [1, 2]}}

    def test_names_become_text(self) -> None:
        """`record.__dict__` accepts any key."""
        record = make()
        record.__dict__[Markup("a")] = 1
        record.__dict__[5] = 2  # type: ignore[index]  # as a careless filter does
        extra = freeze(record).extra
        assert extra == {"a": 1, "5": 2}
        assert {type(name) for name in extra} == {str}

    def test_attributes_of_another_handler_are_not_extra_values(self) -> None:
        """`logging.Formatter` writes its results into the record."""
        record = make("order %s", 17, exc_info=(ValueError, ValueError("no"), None))
        logging.Formatter("%(asctime)s %(message)s").format(record)
        assert {"message", "asctime"} <= set(record.__dict__)
        assert freeze(record).extra is None

    def test_an_adapters_values_are_there(self, caplog: pytest.LogCaptureFixture) -> None:
        """The way in which values came into the record does not matter."""
        logging.LoggerAdapter(logging.getLogger("shop"), {"order": 17}).error("no")
        assert freeze(caplog.records[0]).extra == {"order": 17}


class TestException:
    """Freezing the exception of a record."""

    def test_class_last_line_and_locations_are_kept(self) -> None:
        """No frame is kept."""
        frozen = freeze_exception(catch(int, "x"))
        assert frozen.type_name == "ValueError"
        assert frozen.text == "ValueError: invalid literal for int() with base 10: 'x'"
        assert [frame.name for frame in frozen.stack] == ["catch"]
        assert (frozen.notes, frozen.cause, frozen.context, frozen.members) == ((), None, None, ())

    @pytest.mark.parametrize(
        "exc_info",
        [None, False, True, (), (None, None, None), (ValueError, None, None), (ValueError, "no", None), (1, 2), "no"],
    )
    def test_forms_without_an_exception(self, exc_info: Any) -> None:
        """`logging` replaces True before the handler; a ready-made text is shown instead."""
        frozen = freeze(make(exc_info=exc_info, exc_text="ready-made"))
        assert (frozen.exception, frozen.exc_text) == (None, "ready-made")

    def test_an_exception_stands_for_its_tuple(self) -> None:
        """Its own traceback is used."""
        error = catch(int, "x")
        frozen = freeze(make(exc_info=error)).exception
        assert frozen is not None
        assert [frame.name for frame in frozen.stack] == ["catch"]

    def test_the_traceback_of_the_tuple_counts(self) -> None:
        """The tuple may have no traceback, or another one than the exception."""
        error = catch(int, "x")
        frozen = freeze(make(exc_info=(type(error), error, None)))
        assert frozen.exception is not None
        assert frozen.exception.stack == []

    def test_a_text_that_another_handler_left_is_not_shown_twice(self) -> None:
        """`logging.Formatter` keeps it in the record."""
        assert freeze(make(exc_info=ValueError("no"), exc_text="ValueError: no")).exc_text is None

    @pytest.mark.parametrize("name", ["exc_text", "stack_info"])
    @pytest.mark.parametrize(("value", "text"), [("a", "a"), (Markup("a"), "a"), (5, "5"), ("", None), (None, None)])
    def test_ready_made_texts_are_plain(self, name: str, value: object, text: str | None) -> None:
        """A record from elsewhere may have any values."""
        frozen = getattr(freeze(make(**{name: value})), name)
        assert frozen == text
        assert type(frozen) is type(text)

    def test_no_local_is_kept_alive(self) -> None:
        """A frame may have a hundred megabytes, or a file."""

        class BigError(Exception):
            pass

        def use_big() -> None:
            big = BigError()
            alive.append(weakref.ref(big))
            raise BigError(big)

        alive: list[weakref.ref[object]] = []
        error = catch(use_big)
        alive.append(weakref.ref(error))
        frozen = freeze_exception(error)
        del error
        gc.collect()
        assert [each() for each in alive] == [None, None]
        assert len(frozen.stack) == 2

    def test_cause_and_context(self) -> None:
        """Only one of the two is shown, as in Python."""
        caused = freeze_exception(catch(raise_from, OSError("cause")))
        assert caused.cause is not None
        assert (caused.cause.text, caused.context) == ("OSError: cause", None)
        hidden = freeze_exception(catch(raise_from, None))
        assert (hidden.cause, hidden.context) == (None, None)
        error = catch(raise_from, None)
        error.__suppress_context__ = False
        shown = freeze_exception(error)
        assert shown.context is not None
        assert (shown.cause, shown.context.text) == (None, "KeyError: 'context'")

    def test_a_circle_ends(self) -> None:
        """Each exception is frozen once."""
        one, two = ValueError(1), ValueError(2)
        one.__cause__, two.__cause__ = two, one
        assert [each.text for each in everything(freeze_exception(one))] == ["ValueError: 1", "ValueError: 2"]

    @pytest.mark.parametrize("link", ["__cause__", "__context__"])
    def test_a_chain_may_be_longer_than_the_stack_is_deep(self, link: str) -> None:
        """A program may fail for hours while it handles failures; the last five hundred exceptions are kept."""
        error = ValueError(0)
        for number in range(1, 3000):
            following = ValueError(number)
            setattr(following, link, error)
            following.__suppress_context__ = False
            error = following
        frozen = freeze_exception(error)
        *kept, rest = everything(frozen)
        assert [each.text for each in kept] == [f"ValueError: {2999 - n}" for n in range(500)]
        assert rest.text == "and more exceptions"
        assert frozen.size > 500 * 256

    def test_a_group_has_its_members(self) -> None:
        """The members may be groups, too."""
        error = BaseExceptionGroup(
            "two", [ValueError(1), BaseExceptionGroup("one", [KeyboardInterrupt()]), catch(int, "x")]
        )
        frozen = freeze_exception(error)
        assert [member.type_name for member in frozen.members][0::2] == ["ValueError", "ValueError"]
        assert len(everything(frozen)) == 5
        assert frozen.members[1].members[0].text == "KeyboardInterrupt"
        assert [frame.name for frame in frozen.members[2].stack] == ["catch"]

    def test_an_exception_with_an_attribute_exceptions_is_not_a_group(self) -> None:
        """The attribute may have another meaning there."""
        error = ValueError("no")
        error.exceptions = [KeyError()]  # type: ignore[attr-defined]  # as some libraries do
        assert freeze_exception(error).members == ()

    @pytest.mark.parametrize(
        ("notes", "frozen"),
        [
            (["one", "two\nlines"], ("one", "two\nlines")),
            ((_Mutable("own"), _Hostile()), ("own", "<_Hostile that cannot be shown: RuntimeError>")),
            ([], ()),
            ("text", ()),
            (None, ()),
            (5, ()),
        ],
    )
    def test_notes_are_kept(self, notes: object, frozen: tuple[str, ...]) -> None:
        """Notes work on every Python, although they came with Python 3.11."""
        error = ValueError("no")
        error.__notes__ = notes  # type: ignore[assignment]  # anybody may write anything there
        assert freeze_exception(error).notes == frozen

    def test_a_hostile_exception_is_shown(self) -> None:
        """Access to its notes ends in endless recursion."""
        frozen = freeze_exception(_HostileError())
        assert (
            frozen.text
            == f"{_HostileError.__module__}._HostileError: <_HostileError that cannot be shown: RuntimeError>"
        )
        assert frozen.notes == ()

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (ValueError(), "ValueError"),
            (ValueError(""), "ValueError"),
            (ValueError("a\nb"), "ValueError: a\nb"),
            (KeyError("a"), "KeyError: 'a'"),
            (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "UnicodeDecodeError: 'utf-8' codec can't decode byte "),
            (queue.Empty(), "_queue.Empty"),
            (SystemExit(3), "SystemExit: 3"),
            (ValueError(_Hostile()), "ValueError: <ValueError that cannot be shown: RuntimeError>"),
            (ValueError(Markup("<b>")), "ValueError: <b>"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_the_last_line_is_that_of_a_traceback(self, error: BaseException, text: str) -> None:
        """The standard library gives the same line."""
        frozen = freeze_exception(error).text
        assert frozen.startswith(text)
        assert type(frozen) is str

    def test_a_syntax_error_shows_where_it_is(self) -> None:
        """Its own lines have the location, and its notes are not repeated there."""
        error = catch(compile, "x = (\n", "conf.py", "exec")
        error.__notes__ = ["in line 1", "of conf\n"]
        frozen = freeze_exception(error)
        assert frozen.text.splitlines()[0] == '  File "conf.py", line 1'
        assert frozen.text.splitlines()[-1] == "SyntaxError: '(' was never closed"
        assert "    x = (\n" in frozen.text
        assert frozen.notes == ("in line 1", "of conf\n")

    @pytest.mark.parametrize("error", [SyntaxError(), SyntaxError("no"), SyntaxError("no", ("a", 1, 1, None))])
    def test_half_a_syntax_error_has_a_last_line(self, error: SyntaxError) -> None:
        """Templates and parsers raise incomplete ones."""
        assert freeze_exception(error).text.splitlines()[-1].startswith("SyntaxError: ")

    def test_a_hostile_syntax_error_has_a_last_line(self) -> None:
        """If `traceback` cannot show it, it is shown like any other exception."""
        error = SyntaxError("no")
        error.filename = _Hostile()  # type: ignore[assignment]  # it takes anything
        assert freeze_exception(error).text == "SyntaxError: no"

    @given(
        st.recursive(
            st.builds(ValueError, st.text()),
            lambda inner: (
                st.builds(ExceptionGroup, st.text(), st.lists(inner, min_size=1)) | st.builds(link, inner, inner)
            ),
            max_leaves=20,
        )
    )
    def test_any_tree_of_exceptions_is_frozen(self, error: Exception) -> None:
        """All parts are text, and the size is at least that of the texts."""
        found = everything(freeze_exception(error))
        assert all(type(each.text) is str and type(each.type_name) is str for each in found)
        assert found[0].size >= sum(len(each.text) for each in found)


class TestFingerprint:
    """The fingerprint, which records share that say the same."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"levelno": 50},
            {"name": "till"},
            {"msg": "other"},
            {"lineno": 43},
            {"own": 2},
            {"stack_info": "Stack:"},
            {"exc_text": "ready-made"},
            {"exc_info": ValueError("other")},
            {"exc_info": link(KeyError(1), ValueError("no"))},
            {"exc_info": catch(int, "x")},
        ],
        ids="-".join,
    )
    def test_records_that_differ_have_different_fingerprints(self, changes: dict[str, Any]) -> None:
        """Level, logger, text, location, values and exception count; the time does not."""
        usual: dict[str, Any] = {"own": 1, "exc_info": ValueError("no")}
        one = freeze(make(**usual)).fingerprint()
        assert one == freeze(make(**usual, created=5.0)).fingerprint()
        assert hash(one) == hash(freeze(make(**usual)).fingerprint())
        without = {} if "exc_text" in changes else usual
        assert freeze(make(**{**without, **changes})).fingerprint() != freeze(make(**without)).fingerprint()


class TestToText:
    """`str` that never raises."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("a", "a"),
            (5, "5"),
            (Markup("<b>"), "<b>"),
            (_Hostile(), "<_Hostile that cannot be shown: RuntimeError>"),
            (_ReturnsNone(), "<_ReturnsNone that cannot be shown: TypeError>"),
            (_Yells("a"), "A"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_examples(self, value: object, text: str) -> None:
        """The text is a plain str, or says why the conversion failed."""
        shown = to_text(value)
        assert shown == text
        assert type(shown) is str

    def test_ctrl_c_goes_through(self) -> None:
        """Ctrl-C belongs to the program."""

        class Interrupted:
            def __str__(self) -> str:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            to_text(Interrupted())


class TestSize:
    """The estimated memory of a record."""

    @pytest.mark.parametrize(
        ("attributes", "least"),
        [
            ({}, 500),
            ({"msg": "x" * 9000}, 9500),
            ({"exc_text": "x" * 9000}, 9500),
            ({"stack_info": "x" * 9000}, 9500),
            ({"own": "x" * 9000}, 9500),
            ({"own": ["x" * 9000] * 2}, 15_000),
            ({"own": 5}, 550),
            ({"exc_info": ValueError("x" * 9000)}, 9700),
            ({"exc_info": link(ValueError(), ValueError("x" * 9000))}, 9900),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
    )
    def test_all_that_may_be_large_counts(self, attributes: dict[str, object], least: int) -> None:
        """The bound of the queue depends on it."""
        assert least <= freeze(make(**attributes)).size <= least + 200

    def test_notes_and_locations_count(self) -> None:
        """Notes sometimes contain whole requests."""
        error = catch(int, "x")
        before = freeze_exception(error).size
        error.__notes__ = ["x" * 9000]
        assert freeze_exception(error).size == before + 9000
