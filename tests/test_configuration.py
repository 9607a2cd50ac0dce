"""Each option of `DiscordHandler` in the forms in which people write it, and the examples of docs/settings.md."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import logging
import logging.config
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import flask
import pytest
import yaml

from discord_logging import DiscordHandler, DiscordNotifier, InvalidSettingError, InvalidWebhookURLError
from discord_logging._records.settings import at_level
from discord_logging.flask import DiscordLogging

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "pQ4zT2-vLmN7_pQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
URL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"
PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")


class Option(NamedTuple):
    """A right value of an option, other forms of the same value, wrong values, and options that it needs."""

    right: Any
    same: tuple[Any, ...]
    wrong: tuple[Any, ...]
    others: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def _number(right: float, text: str, *wrong: object) -> Option:
    return Option(right, (text, f" {text} "), (True, "ten", "1 s", [right], {}, "-1", -1, float("nan"), *wrong))


OPTIONS = {
    "level": Option(30, ("WARNING", "30"), (True, 1.5, "warning", [30], {})),
    "max_level": Option(40, ("ERROR", "40"), (True, 1.5, "error", [40], {})),
    "loggers": Option(
        ["shop", "-shop.noise"], (("shop", "-shop.noise"), ["-shop.noise", None, " shop "], ["shop", "- shop.noise"]),
        (5, "shop", {"shop": 1}, [5], ["shop."], [".shop"], ["-"], ["shop.*"], ["shop", "-shop"]),
    ),
    "ignore": Option(
        ["shop.Missing", "KeyError"], (["shop.Missing", KeyError, ""], (" shop.Missing", KeyError)),
        (5, "KeyError", {"KeyError": 1}, [5], [int], ["Missing"], ["KeyErorr"], ["shop.errors."], [KeyError()]),
    ),
    "username": Option("Shop", (" Shop ", {"NOTSET": "Shop"}), (7, True, ["Shop"], {"loud": "x"}, {"ERROR": 7})),
    "avatar_url": Option("https://x.example/a.png", (), (7, "a.png", [], {"ERROR": "a.png"}, {"loud": None})),
    "thread_id": Option("5", (5,), (True, 5.0, "general", [5], {})),
    "thread_name": Option("Errors", (" Errors\n",), (5, ["Errors"], {}, "x" * 101)),
    "applied_tags": Option(["5"], ([5], ("5",), [None, 5, ""]), (5, "5", {}, ["bug"], [[5]]), {"thread_name": "x"}),
    "context": Option(
        {"service": "shop", "cart": {"id": 5}}, ({"service": "shop", "cart": {"id": 5, "x": None}, "release": None},),
        (5, "shop", ["shop"], True),
    ),
    "fields": Option(["a", "b"], (("a", "b"), ["a", None, "b", ""]), (5, "-a", {"a": 1}, [5], {"a"})),
    "colors": Option(
        {"ERROR": 0xFF0000}, ({"ERROR": "#FF0000"}, {40: "0xff0000"}, {"40": 0xFF0000, "INFO": None}),
        (5, "#ff0000", ["#ff0000"], {"ERROR": "red"}, {"error": 1}, {"ERROR": True}, {None: 1}),
    ),
    "emojis": Option({"ERROR": ""}, ({"ERROR": None}, {40: " "}), (5, "x", ["x"], {"ERROR": 5}, {"eror": "x"})),
    "mentions": Option(
        {"ERROR": "<@&5>"}, ({40: "<@&5>"}, {"40": "<@&5>", "INFO": None}, {"ERROR": "<@&5>", 30: ""}),
        (5, "<@&5>", ["<@&5>"], {"ERROR": "ops"}, {"ERROR": 5}, {"fatal!": "@here"}),
    ),
    "mention_interval": _number(60, "60"),
    "silent_below": Option(30, ("WARNING", "30"), (True, 1.5, "warning", [30], {})),
    "source_url": Option("https://x.example/{path}", (), (5, "x", [], {"ERROR": "x"})),
    "own_packages": Option(["acme"], (("acme",), ["acme", None]), (5, "acme", {"acme": 1}, [5], ["ac-me"])),
    "show_locals": Option("own", (), (5, True, "all", ["own"], {})),
    "redact": Option(["iban"], (("iban",), ["iban", None]), (5, "iban", {"iban": 1}, [5])),
    "queue_size": _number(50, "50", 1.5, "1.5", 0),
    "queue_bytes": _number(1000, "1000", 1.5, "1.5", 0),
    "backlog": Option(
        "/var/lib/shop", (Path("/var/lib/shop"), "sqlite:///var/lib/shop", " /var/lib/../lib/shop/\n"),
        (5, True, b"/var", ["/var"], {}, "a\0b", "redis://shop.example/zero", "mongodb://x", "sqlite://x", "https://x.example/a"),
    ),
    "backlog_dir": Option(
        "/var/lib/shop", (Path("/var/lib/shop"), "sqlite:///var/lib/shop"), (5, True, b"/var", ["/var"], {}, "redis://x.example/0"),
        {"backlog": "redis://127.0.0.1:9/0"},
    ),
    "backlog_bytes": _number(1000, "1000", 1.5, "1.5", 0),
    "backlog_age": _number(3600, "3600", 0),
    "max_lag": _number(2.5, "2.5"),
    "repeats": Option("edit", (), (5, True, "edits", ["edit"], {})),
    "repeat_window": _number(30, "30"),
    "quiet_after": _number(60, "60", 0),
    "flush_timeout": _number(1, "1"),
    "timeout": _number(2.5, "2.50", 0),
    "retry_delays": Option(
        [1, 2.5], ((1, 2.5), ["1", "2.5"], [1, None, 2.5, ""]), (5, "1", [], {1: 2}, ["soon"], [[1]])
    ),
    "max_retry_delay": _number(30, "30", 0.5),
    "channel_limit": _number(10, "10", 1.5, 0),
    "allow_http": Option(True, (1, "true", "YES", "on", "1", "y"), (2, 1.0, "maybe", [], {})),
    "enabled": Option(False, (0, "false", "No", "off", "0", "n"), (2, 0.0, "maybe", [], {})),
}  # fmt: skip
BLANKS = [None, "", " \n"]


@pytest.fixture(autouse=True)
def _url_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", URL)
    monkeypatch.delenv("DISCORD_NOTIFICATIONS_ENABLED", raising=False)


def read(handler: DiscordHandler) -> dict[str, Any]:
    """Return all that the options of a handler have set."""
    listener = handler._listener
    card = {name: value for name, value in vars(handler._settings).items() if name not in ("number", "formatter")}
    card["masker"] = handler._settings.masker.mask("iban=DE02 password=hunter2")
    for name in ("username", "avatar_url", "mentions"):
        # A text for all levels, and a mapping with that text, apply alike.
        card[name] = [(card[name] and at_level(card[name], levelno)) or "" for levelno in range(0, 60, 10)]
    return {
        **card,
        "level": handler.level,
        "filters": handler.filters,
        "is_enabled": listener is not None,
        "delivery": listener and listener._settings,
        "flush_timeout": handler._flush_timeout,
    }


def configured(**options: Any) -> dict[str, Any]:
    """Return what a new handler has, which is closed at once."""
    handler = DiscordHandler(**options)
    handler.close(0)
    return read(handler)


class TestEveryOption:
    """The table has a row for each option, and each rule holds for each row."""

    def test_the_table_has_all_options(self) -> None:
        """A new option needs a row."""
        assert set(OPTIONS) == set(inspect.signature(DiscordHandler).parameters) - {"webhook_url", "unknown"}

    @pytest.mark.parametrize("blank", BLANKS)
    @pytest.mark.parametrize("name", ["webhook_url", *OPTIONS])
    def test_null_and_empty_texts_mean_not_given(self, name: str, blank: str | None) -> None:
        """The result is that of a handler without the option; only `channel_limit=None` has a meaning, no limit."""
        found, expected = configured(**{name: blank}), configured()
        if name == "channel_limit" and blank is None:
            assert found["delivery"].channel_limit is None
        else:
            assert found == expected

    @pytest.mark.parametrize(
        ("name", "empty"),
        [(name, [None, ""]) for name in ("applied_tags", "fields", "ignore", "loggers", "redact", "retry_delays")],
    )
    def test_a_list_of_nothing_means_not_given(self, name: str, empty: object) -> None:
        """A word that was not set must not switch the masking off."""
        assert configured(**{name: empty}) == configured()

    @pytest.mark.parametrize(("name", "same"), [(name, each) for name, row in OPTIONS.items() for each in row.same])
    def test_other_forms_mean_the_same(self, name: str, same: object) -> None:
        """Files of settings have texts for numbers and switches, and lists for tuples."""
        option = OPTIONS[name]
        expected = configured(**option.others, **{name: option.right})
        assert configured(**option.others, **{name: same}) == expected
        if name != "allow_http":  # which shows only with a URL
            assert expected != configured(**option.others)

    @pytest.mark.parametrize(("name", "wrong"), [(name, each) for name, row in OPTIONS.items() for each in row.wrong])
    def test_a_wrong_value_is_an_error_that_names_the_option(self, name: str, wrong: Any) -> None:
        """The text begins with the option, and has an example or a rule, and the wrong value or its part."""
        with pytest.raises(InvalidSettingError, match=rf"^{name}\b") as caught:
            DiscordHandler(**OPTIONS[name].others, **{name: wrong})
        assert " must " in str(caught.value)
        assert ", not " in str(caught.value)


class TestReferences:
    """`ext://` and `cfg://` hold wherever they stand in an option."""

    @pytest.fixture(autouse=True)
    def _settings_module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = {name: SimpleNamespace(right=option.right) for name, option in OPTIONS.items()}
        module = ModuleType("own_settings")
        vars(module).update(VERSION="1.2.3", RED="#ff0000", ROLE="<@&5>", NAME="order_id", **values)
        monkeypatch.setitem(sys.modules, "own_settings", module)

    @pytest.fixture(autouse=True)
    def _closed_handlers(self) -> Iterator[None]:
        yield
        for handler in list(logging.getLogger("own").handlers):
            logging.getLogger("own").removeHandler(handler)
            handler.close()

    def configure(self, options: dict[str, Any], **others: Any) -> dict[str, Any]:
        """Return what a handler has that `dictConfig` makes with `options`."""
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                **others,
                "handlers": {"discord": {"class": "discord_logging.DiscordHandler", **options}},
                "loggers": {"own": {"handlers": ["discord"], "propagate": False}},
            }
        )
        (handler,) = logging.getLogger("own").handlers
        assert isinstance(handler, DiscordHandler)
        handler.close(0)
        return read(handler)

    @pytest.mark.parametrize("name", [name for name in OPTIONS if name != "level"])  # `logging` reads the level itself
    @pytest.mark.parametrize("form", ["ext", "cfg", "inside"])
    def test_a_reference_means_its_value(self, name: str, form: str) -> None:
        """The whole option is a reference, or each value in it is."""
        option = OPTIONS[name]
        right = option.right
        reference: Any = {"ext": f"ext://own_settings.{name}.right", "cfg": "cfg://own.right"}.get(form)
        if form == "inside":
            reference = refer(right, "cfg://own.right")
        found = self.configure({**option.others, name: reference}, own={"right": right})
        assert found == configured(**option.others, **{name: right})

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_references_of_many_kinds_stand_together(self, kind: type) -> None:
        """Some values come from a module, some from the configuration, and some are given."""
        found = self.configure(
            {
                "context": {"release": "ext://own_settings.VERSION", "service": "cfg://names.service", "x": None},
                "fields": kind(["ext://own_settings.NAME", "cfg://names.field", "cart"]),
                "colors": {"ERROR": "ext://own_settings.RED"},
                "mentions": {"CRITICAL": "ext://own_settings.ROLE"},
            },
            names={"service": "shop", "field": "cart_id"},
        )
        assert found["context"] == {"release": "1.2.3", "service": "shop"}
        assert found["fields"] == ("order_id", "cart_id", "cart")
        assert found["colors"][40] == 0xFF0000
        assert found["mentions"][-1] == "<@&5>"

    @pytest.mark.parametrize(
        "reference", ["ext://own_settings.MISSING", "ext://no_such_module.X", "cfg://nowhere.x", "cfg://names[7"]
    )
    @pytest.mark.parametrize(
        ("options", "place"),
        [
            (lambda each: {"context": {"release": each}}, r"context\['release'\]"),
            (lambda each: {"context": {"build": {"number": each}}}, r"context\['build'\]\['number'\]"),
            (lambda each: {"fields": ["a", each]}, r"fields\[1\]"),
            (lambda each: {"colors": {"ERROR": each}}, r"colors\['ERROR'\]"),
        ],
    )
    def test_a_reference_that_leads_nowhere_is_named(self, options: Any, place: str, reference: str) -> None:
        """`logging` shows our error as the cause of its own."""
        with pytest.raises(ValueError, match="discord") as caught:
            self.configure(options(reference), names={})
        assert isinstance(caught.value.__cause__, InvalidSettingError)
        assert re.match(rf"{place} cannot be resolved: \w+", str(caught.value.__cause__))


def refer(value: Any, path: str) -> Any:
    """Return `value` with a reference in place of each of its innermost values."""
    if isinstance(value, dict):
        return {key: refer(each, f"{path}[{key}]") for key, each in value.items()}
    if isinstance(value, list):
        return [refer(each, f"{path}[{index}]") for index, each in enumerate(value)]
    return path


class TestOtherPlaces:
    """The notifier, Flask and the environment know the same forms."""

    @pytest.mark.parametrize("blank", BLANKS)
    @pytest.mark.parametrize(
        "name", ["webhook_url", "handler", "service", *(name for name in OPTIONS if name != "channel_limit")]
    )
    def test_a_notifier_takes_an_empty_option_for_none(self, name: str, blank: str | None) -> None:
        """It still reads the environment at its first use, and takes a handler."""
        options: dict[str, Any] = {name: blank}
        notifier = DiscordNotifier(**options)
        assert notifier._made == {}
        notifier.close(0)
        if name != "handler":
            with contextlib.closing(DiscordHandler()) as handler:
                assert DiscordNotifier(**{"handler": handler, **options}).handler is handler

    @pytest.mark.parametrize("blank", BLANKS)
    @pytest.mark.parametrize("name", ["startup_notice", "client_address", "webhook_url", *OPTIONS])
    def test_flask_takes_an_empty_key_for_none(self, name: str, blank: str | None) -> None:
        """The extension's own default holds, such as the level ERROR, as without the key."""
        if name == "channel_limit" and blank is None:
            return
        expected = make_app({}, {})
        assert make_app({f"DISCORD_{name.upper()}": blank}, {}) == expected
        assert make_app({}, {name: blank}) == expected

    @pytest.mark.parametrize(
        ("text", "is_enabled"), [("", True), (" ", True), ("no", False), ("0", False), ("y", True)]
    )
    def test_the_environment_has_texts(self, text: str, is_enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable that is set to nothing is not given."""
        monkeypatch.setenv("DISCORD_NOTIFICATIONS_ENABLED", text)
        assert configured()["is_enabled"] is is_enabled
        monkeypatch.setenv("DISCORD_WEBHOOK_URL", " ")
        assert DiscordHandler().health()["status"] == "disabled"

    @pytest.mark.parametrize(("given", "is_accepted"), [(None, True), ("", True), ("false", False)])
    def test_the_environment_may_allow_plain_http(
        self, given: str | None, *, is_accepted: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The setting goes before the variable if it is given."""
        monkeypatch.setenv("DISCORD_ALLOW_HTTP", "true")
        url = "http://sandbox:8065/api/webhooks/1/token"
        with contextlib.nullcontext() if is_accepted else pytest.raises(InvalidWebhookURLError):
            DiscordHandler(url, allow_http=given)

    def test_a_wrong_switch_in_flask_is_named_by_its_key(self) -> None:
        """The keys of the extension are as strict as the settings."""
        with pytest.raises(InvalidSettingError, match=r"^DISCORD_STARTUP_NOTICE must be true or false, not 'maybe'"):
            make_app({"DISCORD_STARTUP_NOTICE": "maybe"}, {})
        with pytest.raises(InvalidSettingError, match=r"^DISCORD_COLORS: colors must .* the level 'ERROR'\.$"):
            make_app({"DISCORD_COLORS": {"ERROR": "red"}}, {})


def make_app(config: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return what the handler of a new application has, and whether cards show addresses."""
    app = flask.Flask("settings")
    app.testing = True
    app.config.update(config)
    extension = DiscordLogging(app, **options)
    handler = extension.handler(app)
    app.logger.removeHandler(handler)
    handler.close(0)
    return {**read(handler), "shows_address": extension._shows_address[app]}


class TestFiles:
    """The examples of docs/settings.md configure the same handler."""

    @pytest.fixture(autouse=True)
    def _restored_root(self) -> Iterator[None]:
        yield
        for handler in list(logging.getLogger().handlers):
            if isinstance(handler, DiscordHandler):
                logging.getLogger().removeHandler(handler)
                handler.close(0)

    @pytest.mark.parametrize("form", ["yaml", "toml", "json", "ini"])
    def test_each_form_gives_the_same_handler(self, form: str) -> None:
        """The forms differ only in how they write a value."""
        (text,) = re.findall(rf"^```{form}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        if form == "ini":
            logging.config.fileConfig(io.StringIO(text), disable_existing_loggers=False)
        else:
            logging.config.dictConfig({**load(form, text), "disable_existing_loggers": False})
        (handler,) = (each for each in logging.getLogger().handlers if isinstance(each, DiscordHandler))
        found = read(handler)
        assert (found["level"], found["is_enabled"], found["thread_id"]) == (30, True, "123456789012345678")
        assert found["context"] == {"service": "shop", "platform": sys.platform}
        assert (found["colors"][40], found["colors"][20]) == (0xFF0000, 0x00FF00)
        assert (found["emojis"][30], found["fields"]) == ("", ("order_id", "cart"))
        assert found["username"] == ["", "", "", "", "Alarm", "Alarm"]
        assert found["mentions"] == ["", "", "", "", "", "<@&123456789012345678>"]
        assert (found["delivery"].retry_delays, found["delivery"].timeout) == ((1.0, 2.5), 10)


def load(form: str, text: str) -> dict[str, Any]:
    """Return a text of a file as plain data."""
    if form == "toml":
        tomllib = pytest.importorskip("tomllib")
        return tomllib.loads(text)  # type: ignore[no-any-return]  # Python 3.10 has no such module
    return yaml.safe_load(text) if form == "yaml" else json.loads(text)  # type: ignore[no-any-return]  # any data
