"""The public page and the documentation in a real browser, served by the real server."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Playwright

from tests.browser import DESKTOP, PHONE, launched
from tests.registry.api.life import Life

pytestmark = pytest.mark.browser


def watched(page: Page) -> list[str]:
    """What the page complains about: a policy that forbids, a file that is missing, a script that broke."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_shows_the_parcels_and_fits(
    life: Life, chromium: str, playwright: Playwright, size: dict[str, int]
) -> None:
    with launched(playwright, chromium) as browser:
        page = browser.new_page(viewport=size)  # type: ignore[arg-type]
        said = watched(page)
        page.goto(f"{life.served.base}/?lang=zh")
        page.wait_for_selector(".map[data-ready='3']", timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.locator(".map-plain").first.is_hidden()
        assert said == []


def test_without_webgl_the_servers_map_is_shown(life: Life, chromium: str, playwright: Playwright) -> None:
    with launched(playwright, chromium, webgl=False) as browser:
        page = browser.new_page(viewport=PHONE)
        page.goto(f"{life.served.base}/?lang=en")
        page.wait_for_selector(".map[data-failed='webgl']", timeout=60_000)
        picture = page.locator(".map-plain img").first
        picture.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.map-plain img').naturalWidth > 0")
        assert picture.is_visible()


def test_without_scripts_the_page_is_whole(life: Life, chromium: str, playwright: Playwright) -> None:
    with launched(playwright, chromium) as browser:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{life.served.base}/?lang=zh")
        assert page.locator("noscript .map-plain img").is_visible()
        assert page.locator("table").count() == 3


def test_the_documentation_lists_every_room(life: Life, chromium: str, playwright: Playwright) -> None:
    with launched(playwright, chromium) as browser:
        page = browser.new_page(viewport=DESKTOP)
        said = watched(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{life.served.base}/docs")
        page.wait_for_selector("#operations-tag-retirement, [id='operations-tag-retirement']", timeout=60_000)
        assert [url for url in asked if not url.startswith((life.served.base, "data:"))] == []
        assert said == []
