"""A headless Chromium for tests: the system's, else the one that `playwright install chromium` fetched."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Page, sync_playwright

from cifar_helpers.core import paths

SCREENSHOTS = paths.ROOT / "build" / "screenshots"  # to be looked at


@contextlib.contextmanager
def chromium(**context) -> Iterator[Page]:
    """A page of a browser of its own; the test is skipped where there is no Chromium."""
    own = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=own)
        except Error as error:
            pytest.skip(f"no Chromium: playwright install chromium ({str(error).splitlines()[0]})")
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(180_000)  # milliseconds: a busy machine
        try:
            yield page
        except Exception:
            with contextlib.suppress(Error):
                page.screenshot(path=SCREENSHOTS / "failed.png")
            raise
        browser.close()
