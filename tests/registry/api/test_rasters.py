"""Rasters over HTTP: what comes in, what is refused by code, and who may say something else."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from geo.raster import write_geotiff
from tests.geo import bad_rasters
from tests.registry.api.life import Life

FORM = {
    "kind": "agb", "unit": "t/ha", "product": "invented", "taken_on": "2020-01-01", "licence": "CC0-1.0",
}  # fmt: skip


def send(life: Life, who: str, file: Path, **changed: str) -> httpx.Response:
    return life[who].upload("/rasters", file, **FORM | changed)


def count(life: Life) -> int:
    return len(life["operator"].get("/rasters").json()["items"])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    bad_rasters.plain(tmp_path / "agb.tif")
    return tmp_path / "agb.tif"


def test_a_raster_is_registered_shown_corrected_and_described(life: Life, good: Path) -> None:
    first = send(life, "operator", good, error_model='{"kind": "absolute", "kg_ha": 12000}')
    assert first.status_code == 201, first.text
    sha256 = first.json()["sha256"]
    body = {"reason": "another day", "taken_on": "2021-06-01"}
    second = life["operator"].http.post(f"/rasters/{sha256}/corrections", json=body)
    assert (second.status_code, second.json()["version"]) == (201, 2), second.text
    shown = life["operator"].get(f"/rasters/{sha256}").json()
    assert [one["taken_on"] for one in shown["versions"]] == ["2020-01-01", "2021-06-01"]
    assert shown["error_model"]["kg_ha"] == 12_000
    again = life["operator"].http.post(f"/rasters/{sha256}/corrections", json=body)
    assert (again.status_code, again.json()["code"]) == (422, "raster_nothing_corrected")
    other = life["firm"].http.post(f"/rasters/{sha256}/corrections", json=body | {"unit": "t/ha"})
    assert (other.status_code, other.json()["code"]) == (403, "not_authorised")
    item = life["operator"].get(f"/rasters/{sha256}/stac")
    assert item.headers["content-type"].startswith("application/geo+json")
    href = item.json()["assets"]["data"]["href"]
    assert life["operator"].get(href.removeprefix("/api/v1")).content == good.read_bytes()


@pytest.mark.parametrize(
    ("make", "changed", "code"),
    [
        *((make, {}, code) for make, code in bad_rasters.BAD.items() if make in (
            bad_rasters.without_crs, bad_rasters.vrt_of_a_secret, bad_rasters.photograph,
            bad_rasters.infinity, bad_rasters.a_header_that_claims_too_much,
        )),
        (bad_rasters.plain, {"unit": "tC/ha"}, "raster_unit_wrong"),
        (bad_rasters.plain, {"unit": "Mg CO2e/px"}, "raster_not_density"),
        (bad_rasters.plain, {"licence": "free"}, "raster_licence_unknown"),
        (bad_rasters.plain, {"licence": "CC-BY-4.0"}, "raster_attribution_missing"),
        (bad_rasters.plain, {"error_model": "{}"}, "invalid_request"),
        (bad_rasters.plain, {"forest_classes": "x"}, "invalid_request"),
        (bad_rasters.plain, {"kind": "height"}, "invalid_request"),
        (bad_rasters.plain, {"kind": "land_cover", "unit": "class"}, "land_cover_product_unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_input_is_refused_and_not_kept(
    life: Life, tmp_path: Path, make: Any, changed: dict[str, str], code: str
) -> None:
    make(tmp_path / "x.tif")
    before = count(life)
    answer = send(life, "operator", tmp_path / "x.tif", **changed)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (count(life), answer.json()["detail"] != "") == (before, True)


def test_a_firm_brings_no_rasters(life: Life, good: Path) -> None:
    answer = send(life, "firm", good)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_authorised")


def test_a_raster_that_may_not_be_passed_on_is_not_handed_to_others(life: Life, tmp_path: Path) -> None:
    own = tmp_path / "own.tif"
    write_geotiff(own, bad_rasters.density() / 2, bad_rasters.GRID, -9999.0)
    said = {"licence": "LicenseRef-survey-office", "licence_note": "for this project alone"}
    sha256 = send(life, "operator", own, **said).json()["sha256"]
    path = f"/rasters/{sha256}/file"
    assert life["operator"].get(path).content == own.read_bytes()
    refused = life["firm"].http.get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_authorised")
