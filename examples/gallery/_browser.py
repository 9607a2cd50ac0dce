"""Chromium takes pictures of the page of a local Discord."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--force-dark-mode", "--window-size=760,3000")
_SHOWN = ".message:not([hidden])"


@contextmanager
def open_browser() -> Iterator[Chrome]:
    """Start Chromium; it ends with the block."""
    options = ChromeOptions()
    with tempfile.TemporaryDirectory() as folder:
        for flag in (*_FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or ""
        browser = Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield browser
        finally:
            browser.quit()


def take_picture(browser: Chrome, discord: LocalDiscord, path: Path) -> None:
    """Write a picture of the messages in the channel to `path`."""
    _show(browser, discord)
    browser.find_element(By.ID, "messages").screenshot(str(path))


def take_page(browser: Chrome, discord: LocalDiscord, path: Path) -> None:
    """Write a picture of the whole page to `path`."""
    browser.set_window_size(1280, 940)
    _show(browser, discord)
    browser.save_screenshot(str(path))


def _show(browser: Chrome, discord: LocalDiscord) -> None:
    browser.get(discord.url)
    wait = WebDriverWait(browser, 10)
    wait.until(lambda _: len(browser.find_elements(By.CSS_SELECTOR, _SHOWN)) == len(discord.messages))
