"""The map in a real browser: under the pages' policy, on a telephone, in two languages, and without WebGL."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import shapely
from playwright.sync_api import Page, Playwright

from geo.tiling import Properties, Tile, cut, encode
from tests.browser import PHONE, launched

pytestmark = pytest.mark.browser

STATIC: Final = Path(__file__).resolve().parents[2] / "registry" / "web" / "static"
POLICY: Final = (
    "default-src 'self'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:"
)
PAGE: Final = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>map</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/maplibre-gl.css"><link rel="stylesheet" href="/static/style.css">
<script type="module" src="/static/map.js"></script></head>
<body><main class="page"><div class="map" data-tiles="{tiles}"></div></main></body></html>"""
WEST, SOUTH, EAST, NORTH = BOUNDS = (118.49, 28.9, 118.53, 28.94)
SAID: Final = {
    "tilejson": "3.0.0",
    "maxzoom": 16,
    "bounds": BOUNDS,
    "parcels": 2,
    "statuses": {"suspended": 1, "enrolled": 1},
}
PARCELS: Final[list[tuple[Any, Properties]]] = [
    (
        shapely.box(x, SOUTH, x + 0.02, NORTH),
        {"code": code, "village": "<b>石梁</b>", "area_mu": 1234.5, "status": status, "masked": False},
    )
    for x, code, status in ((WEST, "P-1", "enrolled"), (WEST + 0.02, "P-2", "suspended"))
]


def tile(path: str) -> bytes:
    """The tile at `/parcels/z/x/y.mvt`."""
    zoom, x, y = (int(part) for part in path.removesuffix(".mvt").split("/")[2:])
    pieces = cut(Tile(zoom, x, y), [outline for outline, _ in PARCELS])
    shown = [(piece, said) for piece, (_, said) in zip(pieces, PARCELS, strict=True) if piece is not None]
    return encode(shown)


class Site(SimpleHTTPRequestHandler):
    """The built bundle, a page around it and two parcels, all under the content policy of the pages."""

    def do_GET(self) -> None:
        answers: dict[str, tuple[str, str]] = {
            "/zh": ("text/html", PAGE.format(language="zh-CN", tiles="/parcels.json")),
            "/en": ("text/html", PAGE.format(language="en", tiles="/parcels.json")),
            "/broken": ("text/html", PAGE.format(language="en", tiles="/missing.json")),
            "/parcels.json": ("application/json", json.dumps(SAID)),
        }
        if self.path.startswith("/parcels/"):
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.mapbox-vector-tile")
            self.end_headers()
            self.wfile.write(tile(self.path))
            return
        if self.path not in answers:
            super().do_GET()
            return
        kind, body = answers[self.path]
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(body.encode())

    def translate_path(self, path: str) -> str:
        return str(STATIC / path.removeprefix("/static/"))

    def guess_type(self, path: str) -> str:  # type: ignore[override]
        return "text/javascript" if path.endswith((".js", ".mjs")) else super().guess_type(path)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Silence: the tests tell what happened."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(STATIC)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


Open = Callable[[str], tuple[Page, list[str]]]


def opener(browser_page: Callable[[], Page], site: str) -> Open:
    """Opens an address, waits until the map is drawn or has failed, collects the browser's complaints."""

    def open_page(path: str) -> tuple[Page, list[str]]:
        page = browser_page()
        complaints: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(site + path)
        page.wait_for_selector(".map[data-ready], .map[data-failed]", timeout=60_000)
        return page, complaints

    return open_page


@pytest.fixture(scope="module")
def open_page(site: str, playwright: Playwright, chromium: str) -> Iterator[Open]:
    with launched(playwright, chromium) as browser:
        yield opener(lambda: browser.new_page(viewport=PHONE), site)


def test_every_parcel_is_drawn_and_the_content_policy_is_kept(open_page: Open) -> None:
    page, complaints = open_page("/zh")
    assert page.get_attribute(".map", "data-ready") == "2"
    said = [text.split() for text in page.locator(".map-legend li").all_inner_texts()]
    assert said == [["已入项目", "1"], ["已暂停", "1"]]
    assert complaints == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/zh", ["P-1", "村", "面积", "1,234.50 亩", "已入项目"]),
        ("/en", ["Village", "1,234.50 mu", "enrolled"]),
    ],
)
def test_a_tap_on_a_parcel_tells_its_code_village_area_and_state(
    open_page: Open, path: str, words: list[str]
) -> None:
    page, _ = open_page(path)
    box = page.locator(".map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.5)
    said = page.locator(".maplibregl-popup").inner_text()
    assert [word for word in words if word not in said] == []
    assert "<b>石梁</b>" in said  # what others wrote is text, never markup


def test_a_state_that_is_pressed_in_the_key_is_left_out_until_it_is_pressed_again(open_page: Open) -> None:
    page, complaints = open_page("/zh")
    box = page.locator(".map").bounding_box()
    assert box is not None
    middle_of_the_first = (box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.5)
    key = page.get_by_role("button", name="已入项目")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    page.wait_for_timeout(500)
    page.mouse.click(*middle_of_the_first)
    assert page.locator(".maplibregl-popup").count() == 0
    key.click()
    page.wait_for_timeout(500)
    page.mouse.click(*middle_of_the_first)
    page.wait_for_selector(".maplibregl-popup")
    assert complaints == []


def test_all_that_is_pressed_is_large_enough_for_a_thumb(open_page: Open) -> None:
    page, _ = open_page("/zh")
    for button in page.locator(".map button, .map-legend button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 48
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_parcels_that_cannot_be_read_are_said_to_be_missing(open_page: Open) -> None:
    page, _ = open_page("/broken")
    assert page.get_attribute(".map", "data-failed") == "parcels"
    assert "could not be read" in page.locator(".map-fallback").inner_text()


def test_a_browser_without_webgl_says_so_and_points_to_the_tables(
    site: str, playwright: Playwright, chromium: str
) -> None:
    with launched(playwright, chromium, webgl=False) as browser:
        page, _ = opener(lambda: browser.new_page(viewport=PHONE), site)("/zh")
        assert page.get_attribute(".map", "data-failed") == "webgl"
        assert "WebGL 2" in page.locator(".map-fallback").inner_text()
