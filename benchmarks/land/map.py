"""How fast public land is shown: `python -m benchmarks.land.map [PARCELS] [--database URL] [--browser]`.

A home with made-up parcels (`benchmarks.land.world`) is filled table by table, served by the real server, and
asked over HTTP: pages of features, tiles, the TileJSON, and with `--browser` the public page in Chromium.
Every answer is checked before its time counts.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import sqlalchemy as sa

from benchmarks.land.world import EPSG, outlines
from geo.crs import area_m2, to_store
from geo.polygon import to_wkb
from registry.database import Database
from registry.installation import Installation
from registry.machine import Role
from registry.members import register_organisation
from registry.parcels.models import Parcel, ParcelStep, ParcelVersion
from registry.parcels.public import ParcelPublic, public_rows
from registry.settings import Home

BATCH: Final = 5_000
STATUSES: Final = ("enrolled", "eligible", "submitted", "in_review")
BEGAN: Final = datetime(2025, 1, 1, tzinfo=UTC)


def fill(home: Home, count: int, seed: int = 1) -> str:
    """Parcels, versions, first steps and public rows, as the register would have them; answers whose."""
    installation = Installation.create(home, "tanhui.bench/log")
    try:
        organisation = register_organisation(installation, "甲村集体", Role.COLLECTIVE, "330802")
    finally:
        installation.close()
    database = Database(home.database_url)
    try:
        drawn = outlines(count, seed)
        for start in range(0, count, BATCH):
            rows = list(_rows(list(drawn[start : start + BATCH]), start, organisation))
            with database.write() as session:
                for table, of_table in zip(
                    (Parcel, ParcelVersion, ParcelStep), zip(*rows, strict=True), strict=True
                ):
                    session.execute(sa.insert(table), list(of_table))
                versions = [
                    {**version, **parcel, "masked": None, "since_ms": step["at_ms"]}
                    for parcel, version, step in rows
                ]
                session.execute(sa.insert(ParcelPublic.__table__), list(public_rows(versions)))  # type: ignore[arg-type]
    finally:
        database.dispose()
    return organisation


def _rows(some: Sequence[Any], start: int, organisation: str) -> Iterator[tuple[dict[str, Any], ...]]:
    for number, drawn in enumerate(some, start=start):
        ground = to_store(drawn, EPSG)
        parcel = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
        common = {"code": f"330802-{number // 200:04d}-{number % 200:03d}", "county": "330802"}
        at_ms = round(BEGAN.timestamp() * 1000) + number
        yield (
            {
                "id": parcel, "status": STATUSES[number % 4], "entry_index": 1,
                "organisation_id": organisation, "version": 1, "reviewer_id": None, "operator_id": None,
                **common,
            },
            {
                "parcel_id": parcel, "version": 1, "area_cm2": round(area_m2(ground) * 10_000),
                "stand_type": "chinese_fir", "source_sha256": "0" * 64, "evidence_sha256": "0" * 64,
                "resolution_sha256": "0" * 64, "commitment": uuid.uuid5(uuid.NAMESPACE_URL, parcel).hex * 2,
                "commitment_key": b"k" * 32, "wkb": to_wkb(ground), "village": f"{number // 2000}村",
                "tenure": {"kind": "household" if number % 50 == 0 else "collective"}, "attributes": {},
            },
            {
                "parcel_id": parcel, "entry_index": 1, "n": 0, "machine": "parcel", "subject": parcel,
                "action": "submit", "before": "draft", "after": "submitted", "version": 1, "at_ms": at_ms,
                "reason_code": "",
            },
        )  # fmt: skip


# ---- asking ------------------------------------------------------------------------------------------------


def timed(ask: Callable[[], httpx.Response], rounds: int = 7) -> tuple[float, httpx.Response]:
    """The median of some rounds in milliseconds, and the last answer."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = ask()
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text
    return statistics.median(taken), answer


def measure(base: str) -> dict[str, Any]:
    client = httpx.Client(base_url=base, timeout=120)
    found: dict[str, Any] = {}
    found["tilejson ms"], answer = timed(lambda: client.get("/tiles/parcels.json"), 3)
    said = answer.json()
    west, south, east, north = said["bounds"]
    x, y = (west + east) / 2, (south + north) / 2
    items = "/ogc/collections/parcels/items"
    asked = {
        "first page of 1,000": {"limit": "1000"},
        "box of 1 km": {"bbox": f"{x},{y},{x + 0.01},{y + 0.01}", "limit": "1000"},
        "box of 10 km": {"bbox": f"{x},{y},{x + 0.1},{y + 0.1}", "limit": "1000"},
        "everything's box": {"bbox": f"{west},{south},{east},{north}", "limit": "1000"},
        "box and state": {"bbox": f"{x},{y},{x + 0.1},{y + 0.1}", "status": "eligible", "limit": "1000"},
        "one code": {"code": "330802-0001-001"},
        "since an instant": {"datetime": "2025-01-01T00:00:00.010Z/..", "limit": "1000"},
    }
    for name, parameters in asked.items():
        taken, answer = timed(lambda given=parameters: client.get(items, params=given))  # type: ignore[misc]
        body = answer.json()
        assert body["numberReturned"] == len(body["features"]) > 0, name
        found[name] = {
            "ms": round(taken, 1),
            "features": body["numberReturned"],
            "matched": body.get("numberMatched"),
        }
    found["tiles"] = list(tiles(client, (x, y), said["maxzoom"]))
    for path in ("/", "/map.svg", "/api/v1/public/parcels.geojson"):
        found[f"{path} ms"], _ = timed(lambda asked=path: client.get(asked), 3)  # type: ignore[misc]
    return found


def tiles(client: httpx.Client, middle: tuple[float, float], deepest: int) -> Iterator[dict[str, Any]]:
    """The tile in the middle at each zoom, asked for the first time, and how large it is."""
    from geo.outline import tile_position

    east, south = tile_position(*middle)
    for zoom in range(0, deepest + 1, 2):
        began = time.perf_counter()
        answer = client.get(f"/tiles/parcels/{zoom}/{int(east * 2**zoom)}/{int(south * 2**zoom)}.mvt")
        taken = (time.perf_counter() - began) * 1000
        assert answer.status_code == 200 and len(answer.content) < 500_000, (zoom, answer.status_code)
        yield {"zoom": zoom, "ms": round(taken, 1), "bytes": len(answer.content)}


def drawn_in_browser(base: str, rounds: int = 3) -> list[float]:
    """Seconds from asking for the page to the map with everything drawn, each in a fresh browser context."""
    from playwright.sync_api import sync_playwright

    from tests.browser import DESKTOP, chromium_path, launched

    path = chromium_path()
    assert path is not None, "no Chromium on PATH"
    taken = []
    with sync_playwright() as driver, launched(driver, path) as browser:
        for _ in range(rounds):
            page = browser.new_context(viewport=DESKTOP).new_page()
            began = time.perf_counter()
            page.goto(f"{base}/?lang=zh")
            page.wait_for_selector(".map[data-ready]", timeout=120_000)
            taken.append(round(time.perf_counter() - began, 2))
            page.context.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parcels", nargs="?", type=int, default=10_000)
    parser.add_argument("--database", help="an empty PostgreSQL instead of SQLite")
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--keep", type=Path, help="fill this home, or use it as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tanhui-map-") as folder:
        home = Home.at(given.keep or Path(folder) / "home", given.database)
        if not home.vkey.exists():
            fill(home, given.parcels)
        from tests.registry.api.served import Served

        served = Served.start(home.path, given.database)
        try:
            found = {"parcels": given.parcels, **measure(served.base)}
            if given.browser:
                found["page drawn s"] = drawn_in_browser(served.base)
        finally:
            served.stop()
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
