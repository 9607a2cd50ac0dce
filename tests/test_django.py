"""Tests of the Django app. The settings of Django belong to a process, so each project runs in processes of its own."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from discord_logging.sandbox import LocalDiscord
from tests.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Gunicorn

pytestmark = pytest.mark.measured

_FILES = {
    "manage.py": """
        import os, sys
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
    """,
    "shop/__init__.py": "",
    "shop/settings.py": """
        import json, os, pathlib
        BASE_DIR = pathlib.Path(__file__).parent.parent
        SECRET_KEY = "hunter2-of-the-settings"
        ROOT_URLCONF = "shop.urls"
        ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
        INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                          "discord_logging.django", "shop"]
        MIDDLEWARE = ["shop.views.failing_middleware", "django.contrib.sessions.middleware.SessionMiddleware",
                      "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                      "django.contrib.auth.middleware.AuthenticationMiddleware"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
        TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR]}]
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
        USE_TZ = True
        DATA_UPLOAD_MAX_NUMBER_FIELDS = 50
        DISCORD_LOGGING = {"repeat_window": 0, "show_locals": "own", "max_lag": 60, "channel_limit": None}
        globals().update(json.loads(os.environ.get("SHOP_SETTINGS", "{}")))
    """,
    "shop/models.py": """
        from django.db import models
        class Customer(models.Model):
            name = models.CharField(max_length=20)
    """,
    "shop/wsgi.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        from django.core.wsgi import get_wsgi_application
        application = app = get_wsgi_application()
    """,
    "shop/asgi.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        from django.core.asgi import get_asgi_application
        application = get_asgi_application()
    """,
    "shop/views.py": """
        import logging
        from django import http
        from django.core.exceptions import PermissionDenied, SuspiciousOperation
        from django.db import OperationalError, connection
        from django.template import loader
        from django.views.decorators.csrf import csrf_exempt
        from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
        from shop.models import Customer

        log = logging.getLogger("shop")

        def failing_middleware(get_response):
            def middleware(request):
                if request.path == "/middleware":
                    raise ValueError("in the middleware")
                return get_response(request)
            return middleware

        @csrf_exempt
        def fail(request, number=0, token=""):
            if "read" in request.GET:
                request.POST
            if "user" in request.GET:
                str(request.user)
            raise ValueError(f"no {number}")

        @csrf_exempt
        @sensitive_post_parameters("iban")
        def sensitive(request):
            rows, user = Customer.objects.all(), request.user
            pay(request.POST["iban"])

        @sensitive_variables("account")
        def pay(account):
            item = "tea"
            raise ValueError("not paid")

        async def fail_async(request):
            log.warning("in the async view")
            raise ValueError("in an async view")

        def warn(request):
            log.error("stock is low")
            return http.HttpResponse("ok")

        def told(request):
            try:
                raise ValueError("told by the program")
            except ValueError:
                log.exception("could not pay")
                raise

        def stream(request):
            def body():
                yield b"a"
                raise ValueError("in the body")
            return http.StreamingHttpResponse(body())

        async def stream_async(request):
            async def body():
                yield b"a"
                raise ValueError("in the async body")
            return http.StreamingHttpResponse(body())

        def missing(request):
            raise http.Http404("not here")

        def forbidden(request):
            raise PermissionDenied("not you")

        def suspicious(request):
            raise SuspiciousOperation("odd")

        def unavailable(request):
            return http.HttpResponse(status=503)

        def template(request):
            return http.HttpResponse(loader.get_template("broken.html").render())

        def database(request):
            raise OperationalError("no connection")

        def query(request):
            log.error("customers", extra={"rows": Customer.objects.all(), "who": request.user})
            return http.HttpResponse(str(len(connection.queries)))

        @csrf_exempt
        def body(request):
            request.body
            return http.HttpResponse("ok")

        def broken_404(request, exception):
            if request.path == "/missing/broken":
                raise ValueError("in the handler of 404")
            return http.HttpResponseNotFound()

        def broken_500(request):
            if request.path == "/broken":
                raise KeyError("in the handler of 500")
            return http.HttpResponseServerError()
    """,
    "shop/urls.py": """
        from django.urls import path
        from shop import views
        handler404, handler500 = views.broken_404, views.broken_500
        urlpatterns = [
            path("fail/<int:number>", views.fail), path("reset/<token>", views.fail), path("broken", views.fail),
            *(path(name.replace("_", "-"), getattr(views, name)) for name in (
                "sensitive", "fail_async", "warn", "told", "stream", "stream_async", "missing", "forbidden",
                "suspicious", "unavailable", "template", "database", "query", "body",
            )),
            path("missing/broken", views.missing),
        ]
    """,
    "broken.html": "{% for order in orders %}\n  {{ order|nothing }}\n{% endfor %}",
    "shop/management/__init__.py": "",
    "shop/management/commands/__init__.py": "",
    "shop/management/commands/import_orders.py": """
        import logging
        from django.core.management import BaseCommand, CommandError, call_command
        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("what")
                parser.add_argument("--password")
                parser.add_argument("--limit", type=int)
            def handle(self, *args, what, **options):
                if what == "error":
                    raise CommandError("no such file")
                if what == "outer":
                    return call_command("import_orders", "inner", password="hunter2", limit=3)
                if what == "script":
                    return None
                logging.getLogger("shop").error("importing")
                raise ValueError(f"no {what}")
    """,
    "shop/tests.py": """
        import logging
        from django.test import TestCase
        from discord_logging.django._handlers import find_handlers
        class Shop(TestCase):
            def test_errors_are_not_posted(self):
                logging.getLogger("shop").error("under test")
                self.client.raise_request_exception = False
                assert self.client.get("/fail/1").status_code == 500
                for handler in find_handlers():
                    handler.flush()
                    print("the handler is", handler.health()["status"])
    """,
}


def write_project(folder: Path) -> Path:
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if name.endswith(".html") else "\n".join(line[8:] for line in text.split("\n")))
    return folder


_REAL_URL = "https://discord.invalid/api/v10/webhooks/123456789012345678/" + "Zx9-k_Tq" * 8 + "abcd"


def environment(discord: LocalDiscord, url: str = "", **settings: Any) -> dict[str, str]:
    own = {
        "SHOP_SETTINGS": json.dumps(settings),
        "DISCORD_WEBHOOK_URL": url or discord.webhook_url,
        "PYTHONUNBUFFERED": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "DISCORD_LOCAL_ONLY"}
    return {**inherited, **own}


def run(folder: Path, discord: LocalDiscord, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", *arguments],
        cwd=folder,
        env=environment(discord, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def run_code(folder: Path, discord: LocalDiscord, code: str, **settings: Any) -> str:
    """Run code in the project, with a client as `client`; return its output."""
    (folder / "script.py").write_text(_SCRIPT + code)
    done = run(folder, discord, "script.py", **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


_SCRIPT = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import asyncio, contextlib, io, json, logging, sys
import django
django.setup()
from django.core.management import call_command
from django.test import AsyncClient, Client
client = Client(raise_request_exception=False)
async_client = AsyncClient(raise_request_exception=False)
"""


def plain(text: str) -> str:
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


def cards(discord: LocalDiscord) -> list[Any]:
    return [embed for message in discord.messages for embed in message.embeds]


def fields(card: Any) -> dict[str, str]:
    return {plain(field["name"]): plain(field["value"]).strip("`\n") for field in card.get("fields", ())}


def titles(discord: LocalDiscord) -> list[str]:
    return [plain(card.get("title") or "") for card in cards(discord)]


def everything(discord: LocalDiscord) -> str:
    files = [file.data.decode(errors="replace") for message in discord.messages for file in message.files]
    return plain(str([message.payload for message in discord.messages])) + "".join(files)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a project with a database."""
    folder = write_project(tmp_path_factory.mktemp("shop"))
    with LocalDiscord() as discord:
        done = run(folder, discord, "manage.py", "migrate", "--run-syncdb", "-v0")
        assert (done.returncode, discord.messages) == (0, []), done.stderr
    return folder


@pytest.fixture
def discord() -> Iterator[LocalDiscord]:
    """Yield a Discord without limits, because processes do not know each other's requests."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as local:
        yield local


_REQUESTS = """
from django.contrib.auth.models import User
headers = {"X-Request-ID": "abc-1", "User-Agent": "Mozilla", "Authorization": "Basic hunter2", "X-Real-IP": "192.0.2.7"}
client.cookies["sessionid"] = "hunter2cookie"
client.post("/fail/7?read=1&token=s3cr3t&tag=a&tag=b", {"name": "Ann", "password": "hunter2"}, headers=headers)
client.post("/fail/8", {"name": "Ann"})
client.post("/reset/s3cr3tPath?token=s3cr3t")
client.post("/sensitive", {"iban": "DE77-hunter2", "name": "Ann"})
user = User.objects.get_or_create(username="ann")[0]
client.force_login(user)
client.get("/fail/9?user=1")
client.get("/fail/10")
client.get("/query")
client.cookies.clear()
for name in ("middleware", "told", "warn", "missing", "missing/broken", "forbidden", "suspicious", "unavailable",
             "template", "database", "fail-async"):
    client.get(f"/{name}")
for act in (lambda: list(client.get("/stream")), lambda: client.get("/broken")):
    with contextlib.suppress(ValueError, KeyError):
        act()

async def ask():
    await async_client.get("/fail/11?read=1")
    await async_client.get("/fail-async?number=12")
    with contextlib.suppress(ValueError):
        [part async for part in await async_client.get("/stream-async")]
    with contextlib.suppress(KeyError):
        await async_client.get("/broken?number=2")
asyncio.run(ask())

class Gone(io.BytesIO):
    def read(self, *_):
        raise OSError("the client is gone")
    readline = read

client.generic("POST", "/body", b"x" * 10, **{"wsgi.input": Gone()})
client.post("/fail/13?read=1", {f"n{number}": "x" for number in range(60)})
client.get("/fail/14?" + "&".join(f"n{number}=x" for number in range(60)))
client.post("/fail/15", b"x" * 10_000_000, content_type="application/json")
client.post("/fail/16?read=1", {"text": "x" * 2_000_000})
client.get("/fail/17", headers={"X-Odd": "\\ud800\\x00" * 400, "X-Lines": "a\\r\\nCookie: b"})
client.get("/fail/18", headers={"Host": "evil.example"})
logging.getLogger("shop").error("after all requests")
"""


@pytest.fixture(scope="module")
def told(shop: Path) -> Iterator[dict[str, list[Any]]]:
    """Make many requests in one process; return their cards by path, and all text under an empty path."""
    with LocalDiscord(webhook_limit=None, channel_limit=None, global_limit=None) as discord:
        run_code(shop, discord, _REQUESTS)
        by_path: dict[str, list[Any]] = {"": [everything(discord)]}
        for card in cards(discord):
            by_path.setdefault(fields(card).get("path", "none"), []).append(card)
        yield by_path


Told = dict[str, list[Any]]


class TestCardOfAnException:
    def test_it_shows_the_request(self, told: Told) -> None:
        """There are the values that Django's mail to admins has, without secrets, cookies and addresses."""
        (card,) = told["/fail/7"]
        shown = fields(card)
        headers = shown.pop("headers").split("\n")
        assert plain(card["title"]) == "❌ ValueError: no 7 · ERROR · django.request"
        assert plain(card["description"]).startswith("Internal Server Error: /fail/7\n")
        assert 'File "shop/views.py"' in card["description"]
        assert "views.py:" in card["description"].rpartition("-# ")[2]
        assert shown == {
            "method": "POST",
            "path": "/fail/7",
            "request_id": "abc-1",
            "route": "fail/<int:number>",
            "view": "shop.views.fail",
            "GET": "{'read': '1', 'token': '***', 'tag': ['a', 'b']}",
            "POST": "{'name': 'Ann', 'password': '***'}",
        }
        assert {"User-Agent: Mozilla", "Authorization: ********************"} < set(headers)
        assert not {"Cookie", "X-Real-Ip"} & {line.partition(":")[0] for line in headers}

    def test_no_secret_is_posted(self, told: Told) -> None:
        """Neither in a card nor in a file: passwords, tokens of a path, cookies, and what Django's decorators mark."""
        assert [secret for secret in ("hunter2", "s3cr3t", "192.0.2.7") if secret in told[""][0]] == []

    def test_a_body_that_was_not_read_is_not_read(self, told: Told) -> None:
        """The client may still be sending it."""
        (card,) = told["/fail/8"]
        assert "POST" not in fields(card)

    def test_a_secret_in_the_path_is_masked(self, told: Told) -> None:
        """The message of Django's record has the path, too, and the request is a local variable."""
        (card,) = told["/reset/***"]
        assert plain(card["description"]).startswith("Internal Server Error: /reset/***\n")
        assert "request = <WSGIRequest: POST '/reset/***'>" in plain(card["description"])

    def test_sensitive_values_are_those_of_the_decorators(self, told: Told) -> None:
        """`sensitive_post_parameters` and `sensitive_variables` hold."""
        (card,) = told["/sensitive"]
        assert fields(card)["POST"] == "{'iban': '********************', 'name': 'Ann'}"
        assert "account = '********************'" in card["description"]
        assert "item = 'tea'" in card["description"]

    def test_the_id_of_a_user_who_is_loaded_is_shown(self, told: Told) -> None:
        """No user is loaded for a card."""
        shown = [fields(told[path][0]).get("user_id") for path in ("/fail/9", "/fail/10")]
        assert shown == ["1", None]

    def test_a_lazy_value_is_not_loaded(self, told: Told) -> None:
        """A logging call asks no database."""
        (card,) = told["/query"]
        shown = fields(card)
        assert (shown["rows"], shown["who"]) == (
            "<QuerySet of Customer, not loaded>",
            "<SimpleLazyObject, not loaded>",
        )

    @pytest.mark.parametrize(
        ("path", "title"),
        [
            ("/middleware", "ValueError: in the middleware"),
            ("/told", "ValueError: told by the program"),
            ("/missing/broken", "ValueError: in the handler of 404"),
            ("/template", "TemplateSyntaxError: "),
            ("/database", "OperationalError: no connection"),
            ("/stream", "ValueError: in the body"),
            ("/fail/11", "ValueError: no 11"),
            ("/stream-async", "ValueError: in the async body"),
            ("/suspicious", "SuspiciousOperation: odd"),
            ("/body", "UnreadablePostError: the client is gone"),
            ("/fail/13", "TooManyFieldsSent: The number of GET/POST parameters exceeded"),
            ("/fail/14", "TooManyFieldsSent: The number of GET/POST parameters exceeded"),
            ("/fail/15", "ValueError: no 15"),
            ("/fail/16", "ValueError: no 16"),
            ("/fail/17", "ValueError: no 17"),
            ("/fail/18", "DisallowedHost: Invalid HTTP_HOST header: 'evil.example'."),
        ],
    )
    def test_each_failure_is_one_card(self, told: Told, path: str, title: str) -> None:
        """Wherever the exception comes from, and whoever logs it."""
        assert [plain(card["title"])[: len(title) + 2] for card in told[path]] == [f"❌ {title}"]

    def test_an_async_view_is_one_card_and_its_records_are_told(self, told: Told) -> None:
        """The view runs in an event loop, and Django logs its exception from another thread."""
        assert [plain(card["title"]).partition(" · ")[0] for card in told["/fail-async"]] == [
            "❌ ValueError: in an async view"
        ] * 2

    def test_the_program_tells_its_exception_in_its_own_words(self, told: Told) -> None:
        """Django's record of the same exception is left out."""
        (card,) = told["/told"]
        assert card["description"].startswith("could not pay\n")
        assert fields(card)["view"] == "shop.views.told"

    def test_an_exception_in_the_handler_of_errors_shows_both(self, told: Told) -> None:
        """Django calls the handler again for each middleware; the first call has what happened."""
        assert [plain(card["title"]).partition(" · ")[0] for card in told["/broken"]] == [
            "❌ KeyError: 'in the handler of 500'"
        ] * 2
        assert told[""][0].count("in the handler of 500") < 20
        assert "ValueError: no 0" in told[""][0]

    @pytest.mark.parametrize("path", ["/missing", "/forbidden"])
    def test_what_is_no_error_makes_no_card(self, told: Told, path: str) -> None:
        """They are warnings."""
        assert path not in told

    def test_a_response_500_without_exception_is_one_card(self, told: Told) -> None:
        """The view has decided so."""
        (card,) = told["/unavailable"]
        assert plain(card["description"]).startswith("Service Unavailable: /unavailable\n")

    def test_other_records_show_the_request(self, told: Told) -> None:
        """They show less of it than an exception, and only during the request."""
        (card,) = told["/warn"]
        assert fields(card) == {"method": "GET", "path": "/warn"}
        assert [card["description"].split("\n")[0] for card in told["none"]] == ["after all requests"]

    def test_a_hostile_request_costs_only_a_field(self, told: Told) -> None:
        """A query with too many names cannot be read, and a header with line ends makes no other header."""
        assert fields(told["/fail/14"][0])["GET"] == "cannot be shown: TooManyFieldsSent"
        assert "X-Lines: a Cookie: ***" in fields(told["/fail/17"][0])["headers"].split("\n")


_REPORT = """
from django.contrib.auth.models import User
from django.db import connection
client.force_login(User.objects.get_or_create(username="ann")[0])
def refuse(execute, sql, *args):
    print("query", sql)
    return execute(sql, *args)
with connection.execute_wrapper(refuse):
    client.post("/sensitive", {"iban": "DE77-hunter2", "password": "hunter2"})
client.get("/fail/1?" + "&".join(f"n{number}=x" for number in range(60)))
"""


class TestReport:
    def test_the_report_of_django_is_a_file(self, shop: Path, discord: LocalDiscord) -> None:
        """It has everything that Django mails, without secrets, and asks no database for users or variables."""
        output = run_code(shop, discord, _REPORT, DISCORD_LOGGING={"report": True, "repeat_window": 0})
        reports = [
            file.data.decode()
            for message in discord.messages
            for file in message.files
            if file.filename.startswith("report")
        ]
        text, hostile = reports
        assert "Exception Type: TooManyFieldsSent at /fail/1" in hostile
        assert "Exception Type: ValueError at /sensitive" in text
        assert "USER: <SimpleLazyObject, not loaded>" in text
        assert "hunter2" not in text
        assert output == ""

    def test_without_the_setting_there_is_none(self, told: Told) -> None:
        """The report is long and differs each time, which keeps repeats apart."""
        assert "Exception Type: " not in told[""][0]


class TestCommands:
    def test_an_exception_is_one_card_with_the_command(self, shop: Path, discord: LocalDiscord) -> None:
        """It is delivered before the program ends; the records of the command show the same."""
        done = run(shop, discord, "manage.py", "import_orders", "x", "--password", "hunter2", "--limit=3")
        first, last = cards(discord)
        assert done.returncode == 1
        assert done.stderr.count("ValueError: no x\n") == 1
        assert plain(last["title"]) == "❌ ValueError: no x · ERROR · django.core.management"
        assert last["description"].startswith("Command import\\_orders failed\n")
        assert (
            fields(first)
            == fields(last)
            == {
                "command": "import_orders",
                "arguments": "x --password *** --limit=3",
            }
        )

    @pytest.mark.once
    def test_an_inner_command_is_part_of_the_outer_one(self, shop: Path, discord: LocalDiscord) -> None:
        """A command that another one calls does not end the program."""
        run(shop, discord, "manage.py", "import_orders", "outer")
        assert [fields(card)["arguments"] for card in cards(discord)] == ["outer"] * 2

    def test_a_command_error_is_one_card(self, shop: Path, discord: LocalDiscord) -> None:
        """Nobody sees the standard error of a job. Its text is that of Django."""
        done = run(shop, discord, "manage.py", "import_orders", "error")
        assert (done.returncode, done.stderr) == (1, "CommandError: no such file\n")
        assert titles(discord) == ["❌ CommandError: no such file · ERROR · django.core.management"]

    @pytest.mark.once
    @pytest.mark.skipif(not hasattr(os, "openpty"), reason="the platform has no terminals")
    def test_a_command_error_on_a_terminal_makes_no_card(self, shop: Path, discord: LocalDiscord) -> None:
        """The user reads it there."""
        ours, theirs = os.openpty()
        arguments = [sys.executable, "manage.py", "import_orders", "error"]
        done = subprocess.run(
            arguments, cwd=shop, env=environment(discord), stderr=theirs, stdin=theirs, check=False, timeout=60
        )
        os.close(ours)
        os.close(theirs)
        assert (done.returncode, discord.messages) == (1, [])

    @pytest.mark.once
    def test_a_command_that_code_calls_shows_its_options(self, shop: Path, discord: LocalDiscord) -> None:
        """The code may handle the exception, so only records are posted."""
        code = """with contextlib.suppress(ValueError): call_command("import_orders", "x", password="hunter2")"""
        run_code(shop, discord, code)
        (card,) = cards(discord)
        assert fields(card) == {"command": "import_orders", "options": "{'what': 'x', 'password': '***'}"}

    @pytest.mark.once
    def test_no_arguments_are_no_error(self, shop: Path, discord: LocalDiscord) -> None:
        """Wrong usage is shown on the console, and a command that succeeds posts nothing."""
        assert run(shop, discord, "manage.py", "import_orders").returncode == 2
        assert run(shop, discord, "manage.py", "check").returncode == 0
        assert discord.messages == []

    @pytest.mark.parametrize("has_logging", [False, pytest.param(True, marks=pytest.mark.once)])
    def test_nothing_leaves_the_tests_of_a_project(
        self, shop: Path, discord: LocalDiscord, *, has_logging: bool
    ) -> None:
        """Their errors are on purpose. A webhook on this machine is posted to, as under pytest."""
        config = {"LOGGING": _LOGGING, "DISCORD_LOGGING": {}} if has_logging else {}
        done = run(shop, discord, "manage.py", "test", "shop", url=_REAL_URL, **config)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("the handler is stopped\n")
        run(shop, discord, "manage.py", "test", "shop", **config)
        assert titles(discord) == ["❌ ERROR · shop", "❌ ValueError: no 1 · ERROR · django.request"]


_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"discord": {"class": "discord_logging.django.DiscordHandler", "level": "ERROR"}},
    "root": {"handlers": ["discord"]},
}


def test_without_django_the_error_names_the_extra(discord: LocalDiscord, tmp_path: Path) -> None:
    """It is an `ImportError`."""
    (tmp_path / "script.py").write_text("import sys; sys.modules['django'] = None\nimport discord_logging.django")
    assert "pip install 'discord-log-handler[django]'" in run(tmp_path, discord, "script.py").stderr


class TestSettings:
    def test_the_handler_of_logging_works_without_the_app(self, shop: Path, discord: LocalDiscord) -> None:
        """It sets the same hooks."""
        apps = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "shop"]
        run_code(shop, discord, 'client.get("/fail/1?token=s3cr3t")', LOGGING=_LOGGING, INSTALLED_APPS=apps)
        (card,) = cards(discord)
        assert fields(card)["GET"] == "{'token': '***'}"

    @pytest.mark.once
    def test_nothing_leaves_a_test_environment(self, shop: Path, discord: LocalDiscord) -> None:
        """Other runners than `manage.py test` set it up."""
        code = """
from django.test.utils import setup_test_environment
from discord_logging.django._handlers import find_handlers
setup_test_environment()
client.get("/fail/1")
for handler in find_handlers():
    handler.flush()
    print(handler.health()["reason"])
"""
        assert "DISCORD_LOCAL_ONLY is 'the tests of Django'" in run_code(shop, discord, code, url=_REAL_URL)

    @pytest.mark.once
    def test_the_app_takes_the_handler_of_logging(self, shop: Path, discord: LocalDiscord) -> None:
        """There is one card, although the development server's logger and Django's have the handler, too."""
        plain_handler = {**_LOGGING["handlers"]["discord"], "class": "discord_logging.DiscordHandler"}
        loggers = {"django": {"handlers": ["discord"]}, "django.request": {"level": "INFO"}}
        config = {**_LOGGING, "handlers": {"discord": plain_handler}, "loggers": loggers}
        run_code(shop, discord, 'client.get("/fail/1")', LOGGING=config, DISCORD_LOGGING={})
        assert len(cards(discord)) == 1

    def test_the_access_log_of_the_development_server_repeats_no_error(self, shop: Path, discord: LocalDiscord) -> None:
        """Its other errors are posted."""
        code = """
log = logging.getLogger("django.server")
log.error('"%s" %s %s', "GET /fail/1 HTTP/1.1", "500", "0", extra={"status_code": 500})
log.error("You're accessing the development server over HTTPS", extra={"status_code": 500})
"""
        config = {**_LOGGING, "loggers": {"django.server": {"handlers": ["discord"], "propagate": False}}}
        run_code(shop, discord, code, LOGGING=config, DISCORD_LOGGING={})
        assert [plain(card["description"])[:14] for card in cards(discord)] == ["You're accessi"]

    @pytest.mark.once
    def test_settings_that_have_no_effect_are_named(self, shop: Path, discord: LocalDiscord) -> None:
        """The handler of `LOGGING` has settings of its own."""
        handlers = {**_LOGGING["handlers"], "console": {"class": "logging.StreamHandler"}}
        config = {**_LOGGING, "handlers": handlers, "root": {"handlers": ["discord", "console"]}}
        done = run(shop, discord, "manage.py", "check", LOGGING=config, DISCORD_LOGGING={"username": "shop"})
        assert "username is ignored" in done.stderr

    @pytest.mark.once
    @pytest.mark.parametrize(
        "config",
        [
            {"loggers": {"django": {"handlers": [], "propagate": False}}},
            {"loggers": {"django.request": {"handlers": [], "propagate": False}}},
            {"disable_existing_loggers": True},
        ],
        ids=str,
    )
    def test_an_exception_is_told_although_django_does_not(
        self, shop: Path, discord: LocalDiscord, config: dict[str, Any]
    ) -> None:
        """A project may keep Django's own records from our handler, or disable its loggers unawares."""
        run_code(shop, discord, 'client.get("/fail/1")', LOGGING={**_LOGGING, **config})
        (card,) = cards(discord)
        assert (fields(card)["path"], plain(card["title"])) == (
            "/fail/1",
            "❌ ValueError: no 1 · ERROR · django.request",
        )

    @pytest.mark.once
    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            ({"queue_sise": 1}, "DISCORD_LOGGING: Unknown setting 'queue_sise'"),
            ({"report": "maybe"}, "DISCORD_LOGGING['report'] must be true or false"),
            (["report"], "DISCORD_LOGGING must be a dict"),
            ({"webhook_url": "https://discord.invalid/x"}, "DISCORD_LOGGING: "),
        ],
    )
    def test_wrong_settings_are_named(self, shop: Path, discord: LocalDiscord, settings: Any, text: str) -> None:
        """The project does not start."""
        done = run(shop, discord, "manage.py", "check", DISCORD_LOGGING=settings)
        assert done.returncode == 1
        assert text in done.stderr.strip().split("\n")[-1]

    @pytest.mark.once
    def test_the_address_of_the_client_is_shown_if_wanted(self, shop: Path, discord: LocalDiscord) -> None:
        """It is personal data."""
        code = 'client.get("/fail/1", headers={"X-Forwarded-For": "192.0.2.7"})'
        run_code(shop, discord, code, DISCORD_LOGGING={"client_address": "yes"})
        shown = fields(cards(discord)[0])
        assert (shown["client_address"], shown["headers"]) == ("127.0.0.1", "X-Forwarded-For: 192.0.2.7")

    @pytest.mark.once
    def test_a_filter_of_the_project_is_used(self, shop: Path, discord: LocalDiscord) -> None:
        """`DEFAULT_EXCEPTION_REPORTER_FILTER` may be any class, and one that fails costs only its fields."""
        (shop / "filters.py").write_text(
            "from django.views.debug import SafeExceptionReporterFilter as Base\n"
            "class Hiding(Base):\n"
            "    def get_post_parameters(self, request): return {'all': 'hidden'}\n"
            "    def get_traceback_frame_variables(self, request, frame): return [('shown', 1)]\n"
            "class Failing(Base):\n"
            "    get_post_parameters = get_safe_request_meta = get_traceback_frame_variables = None\n"
        )
        for name in ("Hiding", "Failing"):
            filters = {"DEFAULT_EXCEPTION_REPORTER_FILTER": f"filters.{name}"}
            run_code(shop, discord, 'client.post("/fail/1?read=1", {"name": "Ann"})', **filters)
        hidden, failing = cards(discord)
        assert fields(hidden)["POST"] == "{'all': 'hidden'}"
        assert "shown = 1\n" in hidden["description"]
        assert fields(failing)["POST"] == fields(failing)["headers"] == "cannot be shown: TypeError"
        assert "number = 1" not in failing["description"]


def _serve(folder: Path, discord: LocalDiscord, *arguments: str, **settings: Any) -> Server:
    """Start a server of the project."""
    url = discord.webhook_url
    return Server(folder, "-m", *arguments, SHOP_SETTINGS=json.dumps(settings), DISCORD_WEBHOOK_URL=url)


def _starts(discord: LocalDiscord) -> int:
    return sum(card["description"] == "shop started" for card in cards(discord))


def _failures(discord: LocalDiscord) -> list[str]:
    return sorted(plain(card["title"]).split(" · ")[0] for card in cards(discord) if card["title"].startswith("❌"))


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="process groups and gunicorn need fork")


@pytest.mark.once
@needs_fork
class TestServers:
    def test_the_development_server(
        self, tmp_path: Path, discord: LocalDiscord, wait_until: Callable[..., None]
    ) -> None:
        """The start is posted once, although the reloader runs two processes; its own records of a 500 say nothing."""
        folder = write_project(tmp_path)
        server_logger = {"handlers": ["discord"], "level": "INFO", "propagate": False}
        config = {**_LOGGING, "loggers": {"django.server": server_logger}}
        settings = {"LOGGING": config, "DISCORD_LOGGING": {}}
        with _serve(folder, discord, "manage", "runserver", "127.0.0.1:0", **settings) as server:
            wait_until(server.ports)
            later = itertools.count(int(time.time()) + 10)

            def is_reloaded() -> bool:
                # The reloader misses a change that comes before its first scan.
                os.utime(folder / "shop" / "views.py", (0, next(later)))
                return len(server.ports()) > 1

            wait_until(is_reloaded)
            assert [server.ask(path)[0] for path in ("/fail/1", "/unavailable", "/broken")] == [500, 503, 500]
            # At a SIGINT the reloader kills the process of the server after 0.25 s.
            wait_until(lambda: len(_failures(discord)) >= 3)
            server.interrupt()
            assert _starts(discord) == 1
        assert _failures(discord) == ["❌ ERROR", "❌ KeyError: 'in the handler of 500'", "❌ ValueError: no 1"]

    def test_the_development_server_in_one_process(
        self, tmp_path: Path, discord: LocalDiscord, wait_until: Callable[..., None]
    ) -> None:
        """A `SIGTERM` ends it as ever, after the delivery."""
        folder = write_project(tmp_path)
        with _serve(folder, discord, "manage", "runserver", "127.0.0.1:0", "--noreload") as server:
            wait_until(server.ports)
            server.ask("/fail/1")
            server.end()
            assert server.process.returncode == -signal.SIGTERM
        assert (_starts(discord), _failures(discord)) == (1, ["❌ ValueError: no 1"])

    @pytest.mark.parametrize("options", [(), ("--preload",)], ids=str)
    def test_gunicorn(
        self, tmp_path: Path, discord: LocalDiscord, gunicorn: Callable[..., Gunicorn], options: tuple[str, ...]
    ) -> None:
        """Each exception arrives once, also one that reaches gunicorn, and all of them before the end."""
        write_project(tmp_path)
        environment = {"DISCORD_WEBHOOK_URL": discord.webhook_url, "SHOP_SETTINGS": "{}"}
        server = gunicorn("from shop.wsgi import app", *options, **environment)
        assert server.ask("/fail/1")[0] == 500
        assert server.ask("/broken")[0] == 500
        with pytest.raises(http.client.IncompleteRead):
            server.ask("/stream")
        error = server.end()
        assert _starts(discord) == 1
        assert _failures(discord) == [
            "❌ KeyError: 'in the handler of 500'",
            "❌ ValueError: in the body",
            "❌ ValueError: no 1",
        ]
        assert "discord_logging" not in error.replace("discord_logging/django", "")

    def test_uvicorn(self, tmp_path: Path, discord: LocalDiscord, wait_until: Callable[..., None]) -> None:
        """Each exception arrives once, also one that reaches uvicorn; a client that goes away is no error."""
        folder = write_project(tmp_path)
        with _serve(folder, discord, "uvicorn", "shop.asgi:application", "--port", "0", "--lifespan", "off") as server:
            wait_until(server.ports)
            with socket.create_connection(("127.0.0.1", server.ports()[-1]), timeout=20) as client:
                client.sendall(b"POST /body HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nx")
            answers = [server.ask(path) for path in ("/fail/1", "/fail-async", "/broken", "/stream-async")]
            assert answers == [*[(500, True)] * 3, (200, False)]
            server.end()
        assert _starts(discord) == 1
        assert _failures(discord) == [
            "❌ KeyError: 'in the handler of 500'",
            "❌ ValueError: in an async view",
            "❌ ValueError: in the async body",
            "❌ ValueError: no 1",
        ]
