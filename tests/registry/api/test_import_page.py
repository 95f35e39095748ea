"""The page where parcels come in, in a real browser: with progress, on a telephone, and without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright

from tests.browser import DESKTOP, PHONE, launched
from tests.registry.api.life import Life
from tests.registry.api.test_browser import watched
from tests.registry.api.test_imports import file_of

pytestmark = pytest.mark.browser


def fill(page: Page, life: Life, path: Path, key: str) -> None:
    page.fill("#key", key)
    page.set_input_files("#file", str(path))


def test_the_page_tells_how_far_it_is_then_every_bad_row_then_imports(
    life: Life, chromium: str, playwright: Playwright, tmp_path: Path
) -> None:
    bad, good = file_of(tmp_path, 801, 802, apart_m=150), file_of(tmp_path, 811, 812)
    with launched(playwright, chromium) as browser:
        page = browser.new_page(viewport=PHONE)
        said, asked = watched(page), []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{life.served.base}/?lang=zh")
        page.get_by_role("link", name="导入地块").click()
        fill(page, life, bad, life.keys["甲村"])
        page.get_by_role("button", name="只检查").click()
        page.wait_for_selector("[data-outcome=refused]", timeout=60_000)
        assert "重叠" in page.locator(".table-text tbody").inner_text()
        assert page.locator(".drawn svg").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        with page.expect_download() as table:
            page.get_by_role("link", name="CSV").click()
        assert table.value.path().read_bytes().startswith(b"\xef\xbb\xbf")

        fill(page, life, good, life.keys["甲村"])
        page.get_by_role("button", name="导入", exact=True).click()
        page.wait_for_selector("[data-outcome=taken]", timeout=60_000)
        assert not [address for address in asked if life.keys["甲村"] in address]
        assert said == []
        for button in page.locator("form button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 48


def test_a_key_that_is_not_accepted_is_said_beside_the_form(
    life: Life, chromium: str, playwright: Playwright, tmp_path: Path
) -> None:
    with launched(playwright, chromium) as browser:
        page = browser.new_page(viewport=DESKTOP)
        page.goto(f"{life.served.base}/land/import?lang=en")
        fill(page, life, file_of(tmp_path, 821), "wrong.key")
        page.get_by_role("button", name="Check only").click()
        page.wait_for_selector(".alarm")
        assert "API key" in page.locator(".alarm").inner_text()
        assert page.locator("form button").first.is_enabled()


def test_without_scripts_the_form_does_the_same(
    life: Life, chromium: str, playwright: Playwright, tmp_path: Path
) -> None:
    with launched(playwright, chromium) as browser:
        page = browser.new_context(java_script_enabled=False, viewport=PHONE).new_page()
        page.goto(f"{life.served.base}/land/import?lang=zh")
        fill(page, life, file_of(tmp_path, 831, 832), "wrong.key")
        page.get_by_role("button", name="只检查").click()
        assert "密钥未被接受" in page.locator(".alarm").inner_text()
        fill(page, life, file_of(tmp_path, 831, 832), life.keys["甲村"])
        page.get_by_role("button", name="只检查").click()
        page.wait_for_selector("[data-outcome=checked]")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
