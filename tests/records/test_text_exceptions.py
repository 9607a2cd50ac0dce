"""A record whose traceback came as text has the same exception as one that came from `logger.exception`."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

import loguru
import pytest
import structlog

from discord_logging import EmbedFormatter, FrozenException, FrozenRecord
from discord_logging._cards.compose import compose, compose_plain, lay_out
from discord_logging._cards.plain_text import full_text
from discord_logging._records.freeze import freeze
from discord_logging._records.portable import from_data, to_json
from discord_logging._records.settings import CardSettings

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = CardSettings(EmbedFormatter())


def pay(order: dict[str, Any]) -> object:
    """Fail because of another error."""
    try:
        return order["price"]
    except KeyError as error:
        raise ValueError("the order has no price") from error


def check(number: int) -> None:
    """Fail without a text."""
    assert number == 17


def catch(function: Callable[..., object], *args: object) -> BaseException:
    """Return the exception that `function` raises."""
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    return pytest.fail("nothing was raised")


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def make(msg: object = "failed", *args: object, **attributes: object) -> logging.LogRecord:
    record = logging.LogRecord("shop", logging.ERROR, __file__, 42, msg, args, None, "buy")
    record.__dict__.update({"created": 1_800_000_000.0, **attributes})
    return record


def frozen(record: logging.LogRecord) -> FrozenRecord:
    return FrozenRecord(freeze(record, SETTINGS))


def told(exception: FrozenException | None) -> Any:
    """Return what an exception and its links tell, without the source lines."""
    if exception is None:
        return None
    places = [frame[:3] for frame in exception.stack]
    return exception.type_name, exception.text, places, told(exception.cause), told(exception.context)


ERROR = catch(pay, {})
TEXT = text_of(ERROR)
AS_EXCEPTION = frozen(make(exc_info=(type(ERROR), ERROR, ERROR.__traceback__)))


def queued(record: logging.LogRecord, formatter: logging.Formatter | None = None) -> logging.LogRecord:
    """Return the record that a `QueueHandler` puts into its queue."""
    handler = logging.handlers.QueueHandler(queue.SimpleQueue())
    handler.setFormatter(formatter)
    prepared: logging.LogRecord = handler.prepare(record)
    return prepared


class TestAsGoodAsAnException:
    @pytest.mark.parametrize(
        "record",
        [
            queued(make(exc_info=(type(ERROR), ERROR, ERROR.__traceback__))),
            make("failed\n" + TEXT),
            make("failed\n%s", TEXT),
            make(f"failed{TEXT}"),
            make(exc_text=TEXT),
            make(exception=TEXT),
            make(data={"traceback": TEXT}),
            make(tried=[TEXT]),
            make(f"failed\n{TEXT}", exc_info=(type(ERROR), ERROR, ERROR.__traceback__)),
            make(exc_info=(type(ERROR), ERROR, ERROR.__traceback__), traceback=TEXT),
            make(exc_text=TEXT, traceback=TEXT),
        ],
    )
    def test_the_card_is_the_same(self, record: logging.LogRecord) -> None:
        """Message, block, fields, the file and the kind are those of a record with the exception itself."""
        read = frozen(record)
        assert told(read.exception) == told(AS_EXCEPTION.exception)
        assert lay_out(read) == lay_out(AS_EXCEPTION)
        assert full_text(read) == full_text(AS_EXCEPTION)
        assert read.kind()[-1] == "ValueError"
        assert (read.message, read.exc_text, read.extra or None) == ("failed", None, None)

    def test_text_behind_a_traceback_is_a_part_of_the_message(self) -> None:
        """A queue joins the lines of the error to the traceback without a line feed at the end; a caller does not."""
        assert frozen(make(f"failed\n{TEXT}next try in 5 s")).message == "failed\nnext try in 5 s"
        error = catch(link_and_raise, ValueError("first\nsecond"))
        record = frozen(queued(make(exc_info=(type(error), error, error.__traceback__))))
        assert record.exception
        assert (record.message, record.exception.text) == ("failed", "ValueError: first\nsecond")

    @pytest.mark.parametrize(
        ("message", "exc_text"),
        [("failed", f"{TEXT}\nNext try"), ("failed", f"Next try\n{TEXT}"), (f"failed\n{TEXT}", "Next try")],
    )
    def test_text_beside_the_traceback_of_another_handler_is_kept(self, message: str, exc_text: str) -> None:
        """`exc_text` may have more than the traceback, or none while the message has one."""
        record = frozen(make(message, exc_text=exc_text))
        assert told(record.exception) == told(AS_EXCEPTION.exception)
        assert (record.message, record.template, record.exc_text) == ("failed\nNext try", "failed", None)
        # The text was lost where the attachments of a record became texts.
        assert record.describing(lambda each: each.name).message == record.message

    def test_other_values_stay(self) -> None:
        """Celery's records have the traceback beside other values."""
        data = {"id": "4711", "exc": "ValueError()", "traceback": TEXT, "args": [1, 2], "kwargs": {}, "tags": []}
        record = frozen(make("Task failed", data=data, order=17))
        assert record.extra == {
            "data": {"id": "4711", "exc": "ValueError()", "args": [1, 2], "kwargs": {}, "tags": []},
            "order": 17,
        }
        assert frozen(make(note=f"see below\n{TEXT}")).extra == {"note": "see below"}

    def test_the_stack_of_the_call_has_a_block_of_its_own(self) -> None:
        """A `QueueHandler` appends it to the message, too."""
        stack = 'Stack (most recent call last):\n  File "a.py", line 1, in f\n    g()'
        info = (type(ERROR), ERROR, ERROR.__traceback__)
        assert lay_out(frozen(queued(make(exc_info=info, stack_info=stack)))) == lay_out(
            frozen(make(exc_info=info, stack_info=stack))
        )
        other = stack.replace("a.py", "b.py")
        assert frozen(make(f"failed\n{other}", stack_info=stack)).message == f"failed\n{other}"
        both = frozen(make(f"failed\n{TEXT}{other}", stack_info=stack))
        assert (both.message, both.stack_info) == (f"failed\n{other}", stack)

    def test_other_stores_keep_it(self) -> None:
        """The record as plain data has the exception, too."""
        record = frozen(make("failed\n" + TEXT))
        copy = from_data(json.loads(to_json(record, {})), SETTINGS)
        assert lay_out(copy) == lay_out(record)
        assert told(copy.exception) == told(record.exception)

    def test_a_traceback_alone_is_a_message(self) -> None:
        """The block stands alone on the card; a card that Discord refused becomes the error."""
        record = frozen(make(TEXT))
        assert record.message == ""
        assert lay_out(record).get("description", "").startswith("```py\nTraceback (most recent call last):")
        assert compose_plain(record).payload["content"] == "ERROR shop: ValueError: the order has no price"

    def test_text_without_a_traceback_is_the_same_object(self) -> None:
        """Most records have none."""
        message = "Traceback (most recent call last): no"
        assert frozen(make(message, note=message, exc_text=message))._parts is not None
        record = frozen(make(message, note=message, exc_text=message))
        assert (record.message, record.exc_text, record.extra) == (message, message, {"note": message})
        assert record._parts is record._snapshot


class TestIdentity:
    def test_repeats_are_the_same_record(self) -> None:
        """The message and the exception make the identity, however the values in the source lines differ."""
        first, second = (f"failed\n{TEXT}".replace("pay(", f"pay( # {n}\n    ") for n in (1, 2))
        assert frozen(make(first)).fingerprint() == frozen(make(first)).fingerprint()
        assert frozen(make(first)).kind() == frozen(make(second)).kind()

    @pytest.mark.parametrize("change", [("ValueError", "TypeError"), ("no price", "no"), ("line ", "line 1")])
    def test_other_exceptions_are_other_records(self, change: tuple[str, str]) -> None:
        """Type, text and place count."""
        other = f"failed\n{TEXT}".replace(*change)
        assert frozen(make(f"failed\n{TEXT}")).fingerprint() != frozen(make(other)).fingerprint()

    def test_the_kind_of_a_long_text_is_found_without_reading_it(self) -> None:
        """A caller may ask for it."""
        frames = '  File "a.py", line 1, in f\n    g()\n' * 200_000
        record = frozen(make(f"failed\nTraceback (most recent call last):\n{frames}ValueError: no"))
        record.kind()
        assert record._read is None

    @pytest.mark.parametrize("own_packages", [(), ("acme",)])
    def test_own_packages_are_told_from_libraries(self, own_packages: tuple[str, ...]) -> None:
        """The setting holds for frames that came as text, too, also for those of another process."""
        text = TEXT.replace(__file__, "/usr/lib/python3/site-packages/acme/orders.py")
        settings = CardSettings(EmbedFormatter(), own_packages=own_packages)
        remote = type("RemoteTraceback", (Exception,), {})(f'\n"""\n{text}"""')
        error = ValueError("no")
        error.__cause__ = remote
        for record in (make(f"failed\n{text}"), make(exc_info=(ValueError, error, None))):
            exception = FrozenRecord(freeze(record, settings)).exception
            assert exception
            frames = [frame for each in exception.linked() for frame in each.stack]
            assert {frame.library for frame in frames} == {None if own_packages else "acme"}


class TestManyTracebacks:
    def test_each_is_a_member(self) -> None:
        """The card has one block, which shows all; the digest names their types."""
        other = text_of(catch(int, "x")).replace("ValueError", "TypeError")
        record = frozen(make(f"first\n{TEXT}\nsecond\n{other}\n\nthe end"))
        assert record.exception
        assert [member.type_name for member in record.exception.members] == ["ValueError", "TypeError"]
        assert record.kind()[-1] == "ValueError, TypeError"
        assert record.message == "first\nsecond\nthe end"
        card = lay_out(record)
        assert "2 tracebacks: ValueError, TypeError\n+- 1 of 2 -\n| Traceback" in card["description"]
        assert "| TypeError: invalid literal" in card["description"]

    def test_the_title_names_their_number_and_types_once(self) -> None:
        """Their text does not begin with the name of a class, which the title put before it again."""
        other = text_of(catch(int, "x")).replace("ValueError", "TypeError")
        title = lay_out(frozen(make(f"{TEXT}\n{other}")))["title"]
        assert title.startswith("❌ 2 tracebacks: ValueError, TypeError · ERROR")

    def test_hundreds_are_counted_and_in_the_file(self) -> None:
        """None is lost."""
        texts = [text_of(catch(int, f"x{number}")) for number in range(300)]
        composed = compose([frozen(make("many\n" + "\n".join(texts)))])
        (card,) = composed.message.payload["embeds"]
        assert "300 tracebacks: ValueError" in card["description"]
        (file,) = composed.message.files
        assert all(f"'x{number}'" in file.content.decode() for number in range(300))

    def test_another_exception_of_the_record_is_kept(self) -> None:
        """The message tells of another error than the one that is logged."""
        other = catch(int, "x")
        record = frozen(make(f"failed\n{TEXT}", exc_info=(type(other), other, other.__traceback__)))
        assert record.exception
        assert [member.text for member in record.exception.members] == [
            "ValueError: invalid literal for int() with base 10: 'x'",
            "ValueError: the order has no price",
        ]

    def test_a_part_of_the_exception_is_not_told_twice(self) -> None:
        """The text may have only the last exception of a chain."""
        last = "".join(traceback.format_exception(type(ERROR), ERROR, ERROR.__traceback__, chain=False))
        record = frozen(make(f"failed\n{last}", exc_info=(type(ERROR), ERROR, ERROR.__traceback__)))
        assert told(record.exception) == told(AS_EXCEPTION.exception)


class Kept(logging.Handler):
    """Keeps frozen records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[FrozenRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Freeze the record and keep it."""
        self.records.append(frozen(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Yield a handler of a logger named kept."""
    handler = Kept()
    logger = logging.getLogger("kept")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class TestLoguru:
    @pytest.fixture(autouse=True)
    def _no_other_sinks(self) -> Iterator[None]:
        loguru.logger.remove()
        yield
        loguru.logger.remove()

    @pytest.mark.parametrize("diagnose", [True, False])
    @pytest.mark.parametrize("backtrace", [True, False])
    @pytest.mark.parametrize("is_text", [True, False])
    def test_its_text_is_the_exception(self, kept: Kept, diagnose: bool, backtrace: bool, is_text: bool) -> None:
        """As a sink the handler gets the exception, which needs no text, and behind a function only the text."""
        sink: Any = (lambda text: logging.getLogger("kept").error(str(text))) if is_text else kept
        loguru.logger.add(sink, format="{message}", diagnose=diagnose, backtrace=backtrace, catch=False)
        try:
            try:
                pay({})
            except ValueError:
                check(16)
        except AssertionError:
            loguru.logger.exception("failed")
        (record,) = kept.records
        assert record.exception
        assert [each.type_name for each in record.exception.linked()] == ["AssertionError", "ValueError", "KeyError"]
        assert [frame.name for frame in record.exception.stack][-1] == "check"
        assert record.message == "failed"
        text = full_text(record)
        assert ("-> 16" in text or "└ 16" in text) == (diagnose and is_text)
        assert (text.count("\n> File") == 1) == (backtrace and is_text)
        assert text.count("AssertionError") == 1

    def test_its_queue_takes_no_traceback(self, kept: Kept) -> None:
        """The exception without one and its text were two. The text has the frames, and more than Python writes."""
        loguru.logger.add(kept, format="{message}", enqueue=True, catch=False)
        try:
            pay({})
        except ValueError:
            loguru.logger.exception("failed")
        loguru.logger.complete()
        (record,) = kept.records
        assert record.exception
        assert [each.type_name for each in record.exception.linked()] == ["ValueError", "KeyError"]
        assert [frame.name for frame in record.exception.stack] == ["test_its_queue_takes_no_traceback", "pay"]
        text = "".join(line for frame in record.exception.stack for line in frame.lines)
        assert not re.search("[│└|]|^>", text)

    def test_its_groups(self, kept: Kept) -> None:
        """The bars are those of Python."""
        loguru.logger.add(lambda text: logging.getLogger("kept").error(str(text)), format="{message}", catch=False)
        inner: Any = ExceptionGroup("inner", [catch(check, 16)])
        group: Any = ExceptionGroup("both", [catch(pay, {}), inner, OSError("full")])
        loguru.logger.opt(exception=catch(link_and_raise, group)).error("failed")
        (record,) = kept.records
        assert record.exception
        types = [each.type_name.rpartition(".")[2] for each in record.exception.linked()]
        assert types == ["ExceptionGroup", "ValueError", "ExceptionGroup", "OSError", "KeyError", "AssertionError"]


class TestStructlog:
    @pytest.mark.parametrize(
        ("renderer", "message"),
        [
            (structlog.processors.JSONRenderer(), "failed"),
            (structlog.processors.KeyValueRenderer(), "order=17 event='failed'"),
            (structlog.processors.LogfmtRenderer(), "order=17 event=failed"),
            (structlog.stdlib.render_to_log_kwargs, "failed"),
            (structlog.stdlib.ProcessorFormatter.wrap_for_formatter, "failed"),
        ],
    )
    def test_its_text_is_the_exception(self, kept: Kept, renderer: Any, message: str) -> None:
        """The key `exception` of an event has the traceback, in JSON with its line feeds escaped."""
        logger = structlog.wrap_logger(
            logging.getLogger("kept"),
            processors=[structlog.processors.format_exc_info, renderer],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        try:
            pay({})
        except ValueError:
            logger.exception("failed", order=17)
        (record,) = kept.records
        assert record.exception
        assert [each.type_name for each in record.exception.linked()] == ["ValueError", "KeyError"]
        assert record.message == message
        assert "exception" not in (record.extra or {})


class TestOtherProcesses:
    @pytest.mark.parametrize(
        "name", ["concurrent.futures.process._RemoteTraceback", "multiprocessing.pool.RemoteTraceback"]
    )
    def test_the_remote_traceback_is_the_cause(self, name: str) -> None:
        """A process pool sets an exception as the cause whose text is the traceback."""
        module, _, kind = name.rpartition(".")
        error = ValueError("the order has no price")
        error.__cause__ = type(kind, (Exception,), {"__module__": module})(f'\n"""\n{TEXT}"""')
        record = frozen(make(exc_info=catch(lambda: link_and_raise(error))))
        assert record.exception
        assert told(record.exception.cause) == told(AS_EXCEPTION.exception)
        assert '"""' not in full_text(record)

    def test_a_text_that_cannot_be_read_stays(self) -> None:
        """The exception is shown as Python shows it."""
        error = ValueError("no")
        error.__cause__ = type("RemoteTraceback", (Exception,), {})('\n"""\nTraceback (most recent call last):\nno"""')
        record = frozen(make(exc_info=error))
        assert record.exception is record._details.exception
        assert '"""\nTraceback (most recent call last):\nno"""' in full_text(record)


def link_and_raise(error: BaseException) -> None:
    raise error


def test_secrets_are_masked() -> None:
    """Values of loguru, source lines and texts are masked as those of an exception."""
    secret = "hunter" + "2" * 6
    text = TEXT.replace('return order["price"]', f'login(password="{secret}")').replace(
        "no price", f"password={secret}"
    )
    record = frozen(make(f"failed\n{text}", note=text.replace("ValueError", "TypeError")))
    assert record.exception
    assert secret not in json.dumps([lay_out(record), full_text(record), to_json(record, {}).decode()])
    assert "hunter" in text
