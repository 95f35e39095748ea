"""A real Chromium for the tests of pages, without a GPU."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, Playwright, ViewportSize

PHONE: Final[ViewportSize] = {"width": 412, "height": 915}
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 900}


def chromium_path() -> str | None:
    """Chromium on PATH, under either of Debian's and Chrome's names."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def launched(playwright: Playwright, path: str, *, webgl: bool = True) -> Iterator[Browser]:
    """A headless browser; without `webgl` it has none, as on old telephones."""
    arguments = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"] if webgl else ["--disable-3d-apis"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to run as root with one
    browser = playwright.chromium.launch(executable_path=path, args=arguments)
    try:
        yield browser
    finally:
        browser.close()
