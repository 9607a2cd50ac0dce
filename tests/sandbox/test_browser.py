"""The page of the local Discord in a real browser: posted messages are shown live, and never executed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from discord_logging.sandbox import LocalDiscord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.once

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1000",
)
_DEADLINE = 20.0


class Page:
    """The page of a local Discord, open in the browser."""

    def __init__(self, browser: Chrome, discord: LocalDiscord) -> None:
        self.browser = browser
        self.discord = discord
        self.http = requests.Session()

    def post(self, content: str = "", *, url: str | None = None, **payload: Any) -> int:
        """Post a message and return the status of the answer."""
        body = {"content": content, **payload}
        return self.http.post(url or self.discord.webhook_url, json=body).status_code

    def url_of_newest(self) -> str:
        """Return the URL of the newest message, for edits."""
        return f"{self.discord.webhook_url}/messages/{self.discord.messages[-1].id}"

    def post_many(self, count: int) -> list[str]:
        """Post messages that fill more than the screen, wait for them, and return their URLs, for edits."""
        for number in range(count):
            self.post(f"number {number}\n" * 4)
        self.wait(lambda: len(self.find(".message")) == count and self.find(".at-end"))
        return [f"{self.discord.webhook_url}/messages/{message.id}" for message in self.discord.messages]

    def find(self, selector: str) -> list[WebElement]:
        """Return all elements that match."""
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click the first element that matches."""
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        ActionChains(self.browser).send_keys(*keys).perform()

    def text(self, selector: str) -> str:
        """Return the text of the last element that matches, or ""."""
        found = self.find(selector)
        return found[-1].text if found else ""

    def texts(self) -> list[str]:
        """Return the contents of the messages that are shown."""
        shown = "document.querySelectorAll('.message:not([hidden]) .body > .text')"
        return list(self.run(f"return [...{shown}].map((each) => each.textContent.trim())"))

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value."""
        return self.browser.execute_script(script)

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds."""
        deadline = time.monotonic() + _DEADLINE
        while time.monotonic() < deadline:
            with suppress(StaleElementReferenceException):
                if condition():
                    return
            time.sleep(0.03)
        pytest.fail(f"never came true; the page shows: {self.text('main')!r}; the panel: {self.text('#panel')!r}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = shutil.which("chromedriver")
    if not driver or not shutil.which("chromium"):
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, but chromium and chromedriver are not both installed")
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    options = ChromeOptions()
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture
def page(browser: Chrome) -> Iterator[Page]:
    """The page of a new local Discord in the dark theme; the test fails if the page logs an error."""
    with LocalDiscord(webhook_limit=(500, 60.0), channel_limit=(600, 60.0)) as discord:
        page = Page(browser, discord)
        with page.http:
            _emulate(browser, "dark")
            browser.get(discord.url)
            page.run("localStorage.clear()")
            _read_log(browser)
            yield page
            logged = [entry["message"] for entry in _read_log(browser)]
            browser.get("about:blank")
    assert logged == []


def _read_log(browser: Chrome) -> list[dict[str, Any]]:
    """Return the entries of the page's console since the last call."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]


def _emulate(browser: Chrome, scheme: str) -> None:
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)


def _color(element: WebElement, name: str = "background-color") -> str:
    return element.value_of_css_property(name)


def test_messages_appear_change_and_disappear_live(page: Page) -> None:
    """Posts, edits and deletions are shown without a reload, and the address of the page does not change."""
    assert "Nothing has been posted yet" in page.text("#empty")
    page.post("good morning", username="Ada")
    page.wait(lambda: page.texts() == ["good morning"])
    assert (page.text(".by b"), page.find("#empty")[0].is_displayed()) == ("Ada", False)
    url = f"{page.discord.webhook_url}/messages/{page.discord.messages[0].id}"
    page.http.patch(url, json={"content": "good evening"})
    page.wait(lambda: page.texts() == ["good evening (edited)"])
    page.http.delete(url)
    page.wait(lambda: page.texts() == [] and page.find("#empty")[0].is_displayed())


def test_the_empty_page_of_another_machine_says_how_to_begin(page: Page) -> None:
    """A handler posts there over plain http only if it is told to."""
    with pytest.warns(UserWarning, match="anybody"):
        other = LocalDiscord(host="0.0.0.0", public=True)  # noqa: S104 - the point of the test
    with other:
        page.browser.get(f"http://sandbox.localhost:{urlsplit(other.url).port}")
        page.wait(lambda: page.text("#first-card").startswith("DISCORD_ALLOW_HTTP=true DISCORD_WEBHOOK_URL=http://"))
        page.browser.get("about:blank")


def test_the_empty_page_says_how_to_begin(page: Page) -> None:
    """The webhook's URL is shown, and the line that is shown posts a first card."""
    page.wait(lambda: page.text("#webhook-url") == page.discord.webhook_url)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-c", page.text("#first-card")], env={"PATH": path}, check=True)  # noqa: S607 - any bash
    page.wait(lambda: page.text(".embed .text") == "It works")
    assert not page.find("#begin")[0].is_displayed()


_HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script></script>",
    "[click](javascript:alert(3)) <javascript:alert(4)> javascript:alert(5)",
    '[x](https://example.com/"onmouseover="alert(6)) <https://example.com/?"><script>alert(7)</script>',
    "`<b>` **<i>bold</i>** ||<svg onload=alert(8)>|| ```html\n</pre><script>alert(9)</script>\n```",
    "*" * 900 + "_" * 900,
    "> " * 900,
    "[" * 1000 + "](" * 400,
)


def test_hostile_texts_are_never_executed(page: Page) -> None:
    """Markup is shown as text everywhere, and only web addresses become links."""
    for text in _HOSTILE:
        field = {"name": text[:256], "value": text[:1024], "inline": True}
        embed = {"title": text[:256], "description": text, "fields": [field], "author": {"name": text[:256]}}
        assert page.post(text, username=text[:80], embeds=[embed | {"footer": {"text": text[:200]}}]) == 204
    payload = {"payload_json": json.dumps({"content": "a file"})}
    page.http.post(page.discord.webhook_url, data=payload, files={"files[0]": ("a.html", _HOSTILE[0], "text/html")})
    page.wait(lambda: "a file" in page.texts())
    for number in range(len(_HOSTILE)):
        message = f"document.querySelectorAll('.message')[{number}]"
        page.run(f"{message}.scrollIntoView()")
        page.wait(partial(page.run, f"return {message}.querySelector('.embed') !== null"))
    assert "<img src=x onerror=alert(1)><script>alert(2)</script></script>" in page.texts()
    assert not page.find("#messages :is(script, img, iframe, b i, [onerror], [onmouseover], [onload])")
    links = page.run("return [...document.querySelectorAll('#messages a')].map((link) => link.protocol + link.rel)")
    assert set(links) == {"https:noopener noreferrer", "http:"}  # the second are the downloads


def test_markdown_is_laid_out_as_discord_does(page: Page) -> None:
    """Each piece of Markdown becomes the element that Discord makes of it."""
    page.post(
        "# Title\n-# small\n**b** *i* __u__ ~~s~~ ***bi*** snake_case_name 2 * 3 * 4 \\*no\\*\n"
        "> quoted\n> twice\n- one\n  - inner\n1. first\n"
        "[label](https://example.com/a(b)) (https://example.com/x_y_z) <https://example.com/q>\n"
        "```py\nimport os  # why\n```\n```ansi\n\x1b[1;31mred\x1b[0m plain\n```\n"
        "``a ` b`` <t:0:R> <@5> <@&6> @everyone\n>>> all\nthe rest",
        allowed_mentions={"parse": [], "users": ["5"]},
    )
    page.wait(page.texts)
    for selector, shown in {
        "h3": ["Title"],
        "small": ["small"],
        "strong": ["b", "bi"],
        "em": ["i", "bi"],
        "u": ["u"],
        "s": ["s"],
        "blockquote": ["quoted\ntwice", "all\nthe rest"],
        ".text > ul > li > ul > li": ["inner"],
        "ol > li": ["first"],
        "pre .hljs-keyword": ["import"],
        "pre .hljs-comment": ["# why"],
        ".ansi-1.ansi-31": ["red"],
        ".text > code": ["a ` b"],
        ".mention.rings": ["@user 5"],
        ".mention.mute": ["@role 6", "@everyone"],
    }.items():
        found = page.find(f".text {selector}" if not selector.startswith(".text") else selector)
        assert [element.text for element in found] == shown, selector
    links = [(element.text, element.get_attribute("href")) for element in page.find(".text a")]
    assert links[0] == ("label", "https://example.com/a(b)")
    assert [text for text, _ in links[1:]] == ["https://example.com/x_y_z", "https://example.com/q"]
    assert "snake_case_name" in page.texts()[0]
    assert "*no*" in page.texts()[0]
    assert "years ago" in page.text("time[data-relative]")
    assert page.find(".message.pinged")


def test_a_spoiler_opens_on_click(page: Page) -> None:
    """A spoiler is hidden until the reader clicks on it."""
    page.post("it was ||the gardener||")
    page.wait(lambda: page.find(".spoiler"))
    assert page.text(".body > .text").strip() == "it was"
    page.click(".spoiler")
    assert page.text(".body > .text") == "it was the gardener"


def test_titles_and_fields_have_less_markdown(page: Page) -> None:
    """Titles and names of fields have no pills of users, headings or links with a text; values only lack headings."""
    text = "# a <@5> [b](https://example.com/b) <t:0:R> `c` ||d|| :fire:"
    page.post(embeds=[{"title": text, "fields": [{"name": text, "value": text}]}])
    page.wait(lambda: page.find(".field"))
    for place in (".embed .title", ".field .name"):
        assert page.text(place).startswith("# a <@5> [b](https://example.com/b) ")
        assert page.text(place).endswith("🔥")
        assert [len(page.find(f"{place} {part}")) for part in ("h3", ".mention", "time", "code", ".spoiler")] == [
            *(0, 0, 1, 1, 1)
        ]
    value = ".field > .text"
    assert [len(page.find(f"{value} {part}")) for part in ("h3", ".mention", "a")] == [0, 1, 1]


def test_the_parts_of_a_message_have_the_order_of_discord(page: Page) -> None:
    """Files stand above embeds, and a message with more than a text is "(edited)" below them."""
    payload = {"content": "text", "embeds": [{"title": "T"}]}
    files = {"files[0]": ("a.bin", b"\0", "application/octet-stream")}
    page.http.post(page.discord.webhook_url, data={"payload_json": json.dumps(payload)}, files=files)
    page.http.patch(f"{page.discord.webhook_url}/messages/{page.discord.messages[0].id}", json={"content": "new"})
    page.wait(lambda: page.texts() == ["new"])
    shown = page.run("return [...document.querySelector('.body').children].map((part) => part.classList[0])")
    assert shown == ["by", "text", "file", "embed", "edited"]


def test_an_edit_rings_for_nobody(page: Page) -> None:
    """A mention that an edit adds is a mention that notifies nobody, and that of the first version still rings."""
    page.post("<@5>")
    page.http.patch(page.url_of_newest(), json={"content": "<@5> <@6>"})
    page.wait(lambda: page.find("button.edited"))
    assert [element.text for element in page.find(".mention.rings")] == ["@user 5"]
    assert [element.text for element in page.find(".mention.mute")] == ["@user 6"]
    page.http.patch(page.url_of_newest(), json={"content": "<@6>"})
    page.wait(lambda: not page.find(".mention.rings"))
    assert (len(page.find(".mention.mute")), page.find(".message.pinged")) == (1, [])


def test_earlier_versions_are_shown_on_a_click(page: Page) -> None:
    """The page says that Discord shows none, and draws each version as it was, the newest first, with its time."""
    payload = {"content": "**one** <@5>", "embeds": [{"title": "T"}]}
    files = {"files[0]": ("a.txt", b"text", "text/plain")}
    page.http.post(page.discord.webhook_url, data={"payload_json": json.dumps(payload)}, files=files)
    page.http.patch(page.url_of_newest(), json={"content": "two", "embeds": [], "attachments": []})
    page.http.patch(page.url_of_newest(), json={"content": "<b>three</b>"})
    page.wait(lambda: page.texts() == ["<b>three</b> (edited)"])
    mark = page.find("button.edited")[0]
    (message,) = page.discord.messages
    assert message.edited is not None
    assert f"{message.edited.astimezone():%B} {message.edited.astimezone().day}, " in str(mark.get_attribute("title"))
    assert mark.get_attribute("aria-expanded") == "false"
    mark.click()
    page.wait(lambda: len(page.find(".history .version")) == 2)
    assert mark.get_attribute("aria-expanded") == "true"
    assert "Discord shows none" in page.text(".history .aid")
    newer, older = page.find(".history .version")
    assert re.fullmatch(r"Version 2 · .*\d:\d\d:\d\d.*\ntwo", newer.text)
    assert older.text.startswith("Version 1 · ")
    parts = (".text strong", ".mention.rings", ".file .preview", ".embed .title")
    assert [page.text(f".version:last-child {part}") for part in parts] == ["one", "@user 5", "text", "T"]
    page.click("#phone")
    page.wait(lambda: page.find(".version .file") and not page.find(".version .preview"))
    page.click("#phone")
    mark.click()
    assert (page.find(".history"), mark.get_attribute("aria-expanded")) == ([], "false")


def test_earlier_versions_are_read_with_the_keyboard(page: Page) -> None:
    """The button is reached from its message, keeps the focus through edits, and more versions appear live."""
    page.post("1")
    page.http.patch(page.url_of_newest(), json={"content": "2"})
    page.wait(lambda: page.find("button.edited"))
    page.press("k", Keys.TAB, Keys.ENTER)
    page.wait(lambda: page.text(".history .version").endswith("\n1"))
    page.http.patch(page.url_of_newest(), json={"content": "3"})
    page.wait(lambda: [each.text[-1] for each in page.find(".history .version")] == ["2", "1"])
    assert page.run("return document.activeElement.matches('button.edited[aria-expanded=true]')")
    page.press(Keys.TAB)
    assert page.run("return document.activeElement.matches('.history')")
    page.http.patch(page.url_of_newest(), json={"content": "4"})
    page.wait(lambda: len(page.find(".history .version")) == 3)
    assert page.run("return document.activeElement.matches('.history')")
    ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).send_keys(" ").perform()
    page.wait(lambda: not page.find(".history"))


def test_versions_that_are_not_kept_are_counted(page: Page) -> None:
    """The note stands between the versions that are kept."""
    page.post("0")
    for number in range(1, 25):
        page.http.patch(page.url_of_newest(), json={"content": str(number)})
    page.wait(lambda: page.texts() == ["24 (edited)"])
    page.click("button.edited")
    page.wait(lambda: page.find(".history .version"))
    shown = page.run("return [...document.querySelectorAll('.history > *')].map((each) => each.textContent)")
    assert [text.partition(" · ")[0] for text in shown[-3:]] == ["Version 5", "3 versions are not kept.", "Version 1"]
    assert len(shown) == 23


def test_edits_and_their_versions_do_not_move_the_list(page: Page) -> None:
    """The reader's place stays where it is while messages above and below it grow, and an edit is no new message."""
    urls = page.post_many(30)
    page.run("document.getElementById('scroller').dispatchEvent(new WheelEvent('wheel'))")
    page.run("document.querySelectorAll('.message')[15].scrollIntoView({block: 'center'})")
    page.wait(lambda: not page.find(".at-end"))
    watched = page.find(".message")[15]
    top = watched.rect["y"]
    for number in (3, 16, 29):
        page.http.patch(urls[number], json={"content": "edited\n" * 6})
    page.wait(lambda: len(page.find("button.edited")) == 3)
    assert watched.rect["y"] == pytest.approx(top, abs=1)
    page.find("button.edited")[1].click()
    page.wait(lambda: page.find(".history .version"))
    assert watched.rect["y"] == pytest.approx(top, abs=1)
    assert not page.find("#newer")[0].is_displayed()
    shown = page.run("return [...document.querySelectorAll('.message')].map((each) => each.dataset.id)")
    assert shown == [message.id for message in page.discord.messages]


def test_earlier_versions_open_where_the_reader_looks(page: Page) -> None:
    """The end of the list is left if it goes out of sight, and followed again when the versions are closed."""
    urls = page.post_many(30)
    for url in (urls[-4], urls[-1]):
        page.http.patch(url, json={"content": "edited\n" * 9})
    page.wait(lambda: len(page.find("button.edited")) == 2)
    early, late = page.find("button.edited")
    top = early.rect["y"]
    early.click()
    page.wait(lambda: page.find(".history .version"))
    assert early.rect["y"] == pytest.approx(top, abs=1)
    assert not page.find(".at-end")
    early.click()
    page.wait(lambda: page.find(".at-end") and not page.find(".history"))
    late.click()
    page.wait(lambda: page.find(".history .version"))
    in_sight = "return document.querySelector('.history').getBoundingClientRect().bottom <= innerHeight"
    assert page.run(in_sight)


def test_embeds_with_one_address_are_one(page: Page) -> None:
    """The first has the images of all, at most four, and an embed with another address stays apart."""
    url = "https://example.com/1"
    images = [{"url": url, "image": {"url": f"https://example.com/{number}.png"}} for number in range(5)]
    page.post(embeds=[{"title": "first", **images[0]}, *images[1:], {"title": "other", "url": f"{url}#2"}])
    page.wait(lambda: page.find(".embed"))
    assert [embed.text for embed in page.find(".embed .title")] == ["first", "other"]
    assert len(page.find(".embed .images.of-4 > .image")) == 4


def test_parts_without_what_they_need_are_left_out(page: Page) -> None:
    """An author without a name, a footer without a text, and images without an address are accepted and not shown."""
    parts: dict[str, dict[str, str]] = {"author": {"url": "https://example.com"}, "footer": {}, "image": {}}
    assert page.post(embeds=[{"title": "T", **parts, "thumbnail": {}}]) == 204
    page.wait(lambda: page.find(".embed"))
    assert page.run("return document.querySelector('.embed').textContent") == "T"


def test_white_is_no_colour(page: Page) -> None:
    """A white embed has the bar of an embed without a colour, and almost white is a colour."""
    page.post(embeds=[{"title": "white", "color": 0xFFFFFF}, {"title": "none"}, {"title": "light", "color": 0xFFFFFE}])
    page.wait(lambda: len(page.find(".embed")) == 3)
    white, none, light = (_color(embed, "border-left-color") for embed in page.find(".embed"))
    assert white == none != light == "rgba(255, 255, 254, 1)"


def test_a_picture_with_a_spoiler_opens_on_click(page: Page) -> None:
    """The picture is blurred until the reader clicks on it, which saves nothing."""
    gif = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
    page.http.post(page.discord.webhook_url, files={"files[0]": ("SPOILER_a.gif", gif, "image/gif")})
    page.wait(lambda: page.find(".picture.covered"))
    assert "blur" in page.find(".picture img")[0].value_of_css_property("filter")
    page.click(".picture")
    assert page.find(".picture img")[0].value_of_css_property("filter") == "none"


def test_components_are_drawn(page: Page) -> None:
    """A container has its colour and may be a spoiler, and a button has its emoji before its label."""
    button = {"type": 2, "style": 5, "url": "https://example.com", "label": "Open", "emoji": {"name": "🔥"}}
    open_box = {"type": 17, "accent_color": 0xED4245, "components": [{"type": 10, "content": "## Heading"}]}
    hidden_box = {"type": 17, "spoiler": True, "components": [{"type": 1, "components": [button]}]}
    url = f"{page.discord.webhook_url}?with_components=true"
    assert page.http.post(url, json={"flags": 1 << 15, "components": [open_box, hidden_box]}).ok
    page.wait(lambda: page.text(".box h4") == "Heading")
    assert _color(page.find(".box")[0], "border-left-color") == "rgba(237, 66, 69, 1)"
    page.click(".box.covered")
    page.wait(lambda: page.text(".box:not(.covered) .link-button") == "🔥 Open")


def test_a_poll_is_drawn(page: Page) -> None:
    """The poll has its question, its answers, and the time that is left."""
    answers = [{"poll_media": {"text": "tea", "emoji": {"name": "🍵"}}}, {"poll_media": {"text": "<b>coffee</b>"}}]
    assert page.post(poll={"question": {"text": "What now?"}, "answers": answers, "duration": 24}) == 204
    page.wait(lambda: page.find(".poll"))
    assert page.text(".poll").split("\n") == [
        *("What now?", "Select one answer", "🍵", "tea", "<b>coffee</b>", "0 votes • 24h left")
    ]


def test_the_page_can_be_seen_as_on_a_phone(page: Page) -> None:
    """There fields stand one below the other, without colours of a terminal and previews; a reload keeps the choice."""
    fields = [{"name": "n", "value": "v", "inline": True}] * 2
    payload = {"embeds": [{"description": "```ansi\n\x1b[31mred\x1b[0m\n```", "fields": fields}]}
    files = {"files[0]": ("a.txt", b"text", "text/plain")}
    page.http.post(page.discord.webhook_url, data={"payload_json": json.dumps(payload)}, files=files)
    page.wait(lambda: page.find(".ansi-31") and page.find(".preview"))

    def are_in_a_row() -> bool:
        first, second = (field.location["y"] for field in page.find(".field"))
        return bool(first == second)

    assert are_in_a_row()
    page.click("#phone")
    for _ in range(2):
        page.wait(lambda: page.text("pre") == "\x1b[31mred\x1b[0m")
        assert not page.find(".ansi-31, .preview")
        assert not are_in_a_row()
        page.browser.refresh()
    page.wait(lambda: page.find("pre"))
    page.press("m")
    page.wait(lambda: page.find(".ansi-31") and are_in_a_row())


def test_all_parts_of_an_embed_are_shown(page: Page) -> None:
    """The bar has the embed's colour, and fields stand in columns, at most three in a row."""
    fields = [{"name": f"n{number}", "value": "v", "inline": number < 4} for number in range(5)]
    embed = {"color": 0xED4245, "title": "T", "url": "https://example.com/t", "description": "**d**", "fields": fields}
    extra = {
        "author": {"name": "A", "url": "https://example.com/a"},
        "footer": {"text": "F"},
        "timestamp": "2026-01-02T03:04:05Z",
    }
    page.post(embeds=[embed | extra | {"image": {"url": "https://example.com/i.png"}}], flags=4096)
    page.wait(lambda: page.find(".embed"))
    assert _color(page.find(".embed")[0], "border-left-color") == "rgba(237, 66, 69, 1)"
    tops = [field.location["y"] for field in page.find(".field")]
    assert tops[0] == tops[1] == tops[2] < tops[3] < tops[4]
    assert [page.text(selector) for selector in (".author a", ".title a", ".embed strong")] == ["A", "T", "d"]
    assert page.text(".foot").startswith("F\n•")
    assert page.text(".embed .image") == "picture: https://example.com/i.png"
    assert page.find(".by .silent")


def test_files_are_previewed(page: Page) -> None:
    """Text files open in full, pictures of an embed are not shown twice, and other files can be downloaded."""
    lines = "".join(f"line {number}\n" for number in range(500))
    gif = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
    files: dict[str, tuple[str, bytes, str]] = {
        "files[0]": ("run.log", lines.encode(), "text/plain"),
        "files[1]": ("a.gif", gif, "image/gif"),
        "files[2]": ("b.gif", gif, "image/gif"),
        "files[3]": ("c.bin", b"\0", "application/octet-stream"),
    }
    payload = {"embeds": [{"title": "T", "thumbnail": {"url": "attachment://a.gif"}}]}
    page.http.post(page.discord.webhook_url, data={"payload_json": json.dumps(payload)}, files=files)
    page.wait(lambda: page.find(".file"))
    assert (len(page.find("img")), len(page.find("img.thumbnail")), len(page.find(".file"))) == (2, 1, 2)
    assert page.text(".preview") == "\n".join(f"line {number}" for number in range(6))
    page.click(".expand")
    page.wait(lambda: page.text(".preview").endswith("line 99\n… (401 lines left)"))
    page.click(".expand:not([aria-expanded])")
    page.wait(lambda: page.text(".preview").endswith("line 499"))
    page.click(".expand")
    page.wait(lambda: page.text(".preview").endswith("line 5"))
    assert page.find(".file a[download='c.bin']")


def test_an_expanded_file_shows_its_first_50000_bytes(page: Page) -> None:
    """A file of few long lines ends there, until the whole file is asked for."""
    page.http.post(page.discord.webhook_url, files={"files[0]": ("a.txt", b"x" * 60_000, "text/plain")})
    page.wait(lambda: page.find(".expand"))
    length = "return document.querySelector('.preview').textContent.length"
    page.click(".expand")
    page.wait(lambda: page.run(length) == 50_000)
    page.click(".expand:not([aria-expanded])")
    page.wait(lambda: page.run(length) == 60_000)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("json", '"\\'),
        ("py", "'\\"),
        ("js", "("),
        ("js", "/* "),
        ("sql", "'\\"),
        ("sh", '"\\'),
        ("java", "$"),
        ("md", "[a]("),
        ("ansi", "\x1b[" + ";".join(str(10 * number) for number in range(3, 20_000)) + "m" + "x\x1b[1m" * 2000),
    ],
)
def test_colours_take_no_time(page: Page, language: str, text: str) -> None:
    """A text that is as long as coloured ones may be, or longer, does not keep the page busy."""
    colour = """
        const [language, texts, done] = arguments;
        import("/static/code.js").then(({ code }) => {
            const made = document.createElement("pre");
            made.append(...texts.map((text) => code(language, text)));
            done(made.textContent.length);
        });
    """
    texts = [text] if len(text) > 1000 else [text * (length // len(text)) for length in (5000, 400_000)]
    shown = re.sub(r"\x1b\[[0-9;]*m", "", "".join(texts))
    assert page.browser.execute_async_script(colour, language, texts) == len(shown)


def test_an_unusual_line_break_in_a_list_is_shown(page: Page) -> None:
    """JavaScript counts U+2028 as a line break and Discord does not; the message stayed empty."""
    page.post("- a\u2028b\n- c")
    page.wait(lambda: page.find(".text li"))
    assert len(page.find(".text li")) == 2


def test_search_and_levels_narrow_the_channel(page: Page) -> None:
    """Search and levels filter the messages, separately and together, and Escape resets both."""
    for text, color in (("tea", 0xED4245), ("coffee", 0xF1C40F), ("tea again", 0x3498DB), ("red tea", 0xFF0000)):
        page.post(text, embeds=[{"title": text, "color": color}])
    page.wait(lambda: len(page.texts()) == 4)
    assert page.text("[data-level=error] .count") == "2"
    page.press("/")
    page.press("TEA")
    page.wait(lambda: page.texts() == ["tea", "tea again", "red tea"])
    page.wait(lambda: page.run("return CSS.highlights.get('search').size") == 6)
    page.click("[data-level=error]")
    assert page.texts() == ["tea", "red tea"]
    assert page.text("#found") == "2 found"
    page.press(Keys.ESCAPE)
    page.wait(lambda: len(page.texts()) == 4)
    page.press("/", "nothing like it")
    page.wait(lambda: "Nothing matches" in page.text("#nothing"))


def test_keys_walk_through_the_messages(page: Page) -> None:
    """The key k moves up from the newest message and j moves down, as the arrow keys do."""
    for text in "abc":
        page.post(text)
    page.wait(lambda: len(page.texts()) == 3)
    focused = "return document.activeElement.querySelector('.text')?.textContent"
    walked = []
    for key in ("k", "k", Keys.ARROW_UP, "j", Keys.ARROW_DOWN, "j"):
        page.press(key)
        walked.append(page.run(focused))
    assert walked == ["c", "b", "a", "b", "c", "c"]


def test_forum_posts_and_channels_can_be_chosen(page: Page) -> None:
    """Channels are listed as soon as there are several, with posts below their forum."""
    forum = page.discord.add_webhook(forum=True)
    page.post("plain")
    page.post("in the post", url=forum, thread_name="<b>Import</b>")
    page.post("elsewhere", url=page.discord.add_webhook())
    page.wait(lambda: len(page.texts()) == 3)
    names = ["all messages", "local-discord", "forum", "<b>Import</b>", "channel-3"]
    assert page.text("#channel-list").split("\n") == names
    page.click("#channel-list .thread")
    assert (page.texts(), page.text("#title b")) == (["in the post"], "<b>Import</b>")
    page.click("#channel-list li:nth-of-type(2) button")
    assert page.texts() == ["plain"]


def test_pace_and_delay_are_shown_over_time(page: Page) -> None:
    """Each message has a bar with the seconds since the message before and since its oldest card."""
    stamp = (datetime.now(timezone.utc) - timedelta(seconds=9)).isoformat()
    late = {"title": "late", "timestamp": stamp}
    page.post(embeds=[{"title": "no time"}, late])
    page.wait(lambda: re.match(r"seconds late\n(9\.\d|10\.\d) now", page.text("#pace > :last-child")))
    assert page.text("#pace > :first-child") == "seconds apart"
    page.post("hello")
    page.post(embeds=[{"title": "long ago", "timestamp": "2020-01-01T00:00:00Z"}])
    page.wait(lambda: len(page.find("#pace > :first-child rect")) == 2)
    assert re.fullmatch(r"seconds apart\n\d\.\d now, \d\.\d at most", page.text("#pace > :first-child"))
    assert len(page.find("#pace > :last-child rect")) == 1


def test_the_buttons_inject_faults(page: Page) -> None:
    """The next posts meet the fault, the panel shows Discord's error, and a restore ends all faults."""
    page.click("#times option[value='3']")
    page.click("[data-trouble=rate_limited]")
    page.wait(lambda: "3 posts will meet trouble" in page.text("#waiting"))
    assert page.post("a") == 429
    page.wait(lambda: "You are being rate limited. 2 s" in page.text("#refused summary"))
    page.click("[data-trouble=restore]")
    page.wait(lambda: page.text("#waiting") == "Everything works.")
    page.click("[data-trouble=delete_webhook]")
    page.wait(lambda: "deleted" in page.text("#waiting"))
    assert page.post("gone <b>") == 404
    page.wait(
        lambda: (
            page.text("#refused .reason:first-child, #refused details:first-child .reason") == "Unknown Webhook (10015)"
        )
    )
    page.click("#refused details:first-child summary")
    page.wait(lambda: '"gone <b>"' in page.text("#refused details:first-child"))
    page.click("[data-trouble=restore]")
    page.wait(lambda: page.text("#waiting") == "Everything works.")
    assert page.post("back") == 204
    page.wait(lambda: page.texts() == ["back"])
    assert [page.text(f"[data-count={name}]") for name in ("messages", "requests", "rate_limited", "refused")] == list(
        "1311"
    )
    assert "1 / 600" in page.text("#gauges")
    assert page.find("#rate rect")
    assert page.find(".gauge .curve")


def test_the_peak_of_the_traffic_is_known_to_a_page_that_opens_later(page: Page) -> None:
    """The server reports the seconds of the requests, since a page that counts them itself has missed them."""
    for _ in range(3):
        page.post("a")
    page.browser.refresh()
    page.wait(lambda: re.search(r"[1-3] at most", page.text("#rate .most")))


def test_thousands_of_messages_stay_fast(page: Page) -> None:
    """Only messages near the viewport are rendered, the newest is visible, and the scroll position is kept."""
    post = page.discord._state.post
    page.post("0")
    page.wait(page.texts)
    (first,) = page.discord.messages
    for number in range(1, 2000):
        post(replace(first, id=str(int(first.id) + number), content=f"number {number}", payload={}))
    page.wait(lambda: page.texts()[-1:] == ["number 1999"])
    assert page.run("return document.querySelectorAll('.message').length") == 2000
    assert page.run("return document.querySelectorAll('.message .body').length") < 1000
    gap = "const s = document.getElementById('scroller'); return s.scrollHeight - s.clientHeight - s.scrollTop"
    page.wait(lambda: page.run(gap) < 40)
    ActionChains(page.browser).scroll_from_origin(
        ScrollOrigin.from_element(page.find("#scroller")[0]), 0, -3000
    ).perform()
    page.wait(lambda: page.run(gap) > 300)
    page.post("newest")
    page.wait(lambda: page.text("#newer") == "1 new message ↓")
    page.click("#newer")
    page.wait(lambda: page.texts()[-1:] == ["newest"] and not page.find("#newer")[0].is_displayed())


def test_both_themes_are_shown(page: Page) -> None:
    """The page has the system's theme until the reader chooses one, remembers the choice, and looks different."""
    dark, light = "rgba(49, 51, 56, 1)", "rgba(255, 255, 255, 1)"

    def wait_for(color: str) -> None:
        page.wait(lambda: [_color(body) for body in page.find("body")] == [color])

    wait_for(dark)
    pictures = [page.browser.get_screenshot_as_png()]
    page.click("#theme")
    wait_for(light)
    pictures.append(page.browser.get_screenshot_as_png())
    page.browser.refresh()
    wait_for(light)
    page.run("localStorage.clear()")
    for scheme, expected in (("light", light), ("dark", dark)):
        _emulate(page.browser, scheme)
        page.browser.refresh()
        wait_for(expected)
    assert pictures[0] != pictures[1]
    assert all(len(picture) > 10_000 for picture in pictures)


def test_a_narrow_screen_has_drawers(page: Page) -> None:
    """There the panel and the channels are hidden until they are opened, fields are stacked, and nothing overflows."""
    fields = [{"name": str(number), "value": "v", "inline": True} for number in range(3)]
    page.post("w" * 400, embeds=[{"fields": fields}])
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.wait(page.texts)
        for name in ("panel", "channels"):
            assert not page.find(f"#{name}")[0].is_displayed()
            page.click(f"#show-{name}")
            page.wait(page.find(f"#{name}")[0].is_displayed)
            page.press(Keys.ESCAPE)
            assert not page.find(f"#{name}")[0].is_displayed()
        assert page.run("return document.documentElement.scrollWidth") == 400
        tops = [field.location["y"] for field in page.find(".field")]
        assert tops[0] < tops[1] < tops[2]
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_longest_buttons_are_shown_whole(page: Page) -> None:
    """A label wraps where it is too long for the message, and a disabled button leads nowhere."""
    buttons = [
        {"type": 2, "style": 5, "label": "W" * 80, "url": "https://e.com", "disabled": off} for off in (False, True)
    ]
    url = f"{page.discord.webhook_url}?with_components=true"
    assert page.post("long", url=url, components=[{"type": 1, "components": buttons}]) == 204
    page.wait(lambda: len(page.find(".link-button")) == 2)
    ends = (
        "return [...document.querySelectorAll('.link-button, .row')].map((each) => each.getBoundingClientRect().right)"
    )
    row, *ends_of_buttons = page.run(ends)
    assert max(ends_of_buttons) <= row
    assert [button.get_attribute("href") for button in page.find(".link-button")] == ["https://e.com/", None]


def test_a_new_server_at_the_same_address_starts_afresh(page: Page) -> None:
    """The page reports the lost connection, and then removes the messages of the old server."""
    page.post("old")
    page.wait(page.texts)
    page.discord.stop()
    page.wait(page.find("#offline")[0].is_displayed)
    with LocalDiscord(port=int(page.discord.url.rpartition(":")[2])) as other:
        page.wait(lambda: not page.texts())
        page.post("new", url=other.webhook_url)
        page.wait(lambda: page.texts() == ["new"])
        # The page would miss this server too when it is gone. The errors of the time without a server are forgotten.
        page.browser.get("about:blank")
        _read_log(page.browser)
