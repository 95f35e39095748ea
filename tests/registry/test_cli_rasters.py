"""`tanhui raster`: from a file to an input of estimates, and what is refused on the way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geo.raster import Grid, RasterSource, write_geotiff
from registry.installation import Installation
from registry.machine import Role
from tests.geo.bad_rasters import photograph, plain, vrt_of_a_secret, without_crs
from tests.registry.people import People
from tests.registry.test_cli import Line, line

__all__ = ["line"]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SAID = ("--product", "invented", "--taken-on", "2020-01-01", "--licence", "CC0-1.0", "--as", "甲村")
FINE = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 5.0, 5.0, 80, 60)


@pytest.fixture
def home(installation: Installation, people: People, monkeypatch: pytest.MonkeyPatch, line: Line) -> str:
    people.member(Role.COLLECTIVE, "甲村")
    monkeypatch.setenv("TANHUI_DATABASE_URL", installation.home.database_url)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    return str(installation.home.path)


def answered(line: Line, *words: str) -> Any:
    status, said = line(*words, "--json")
    assert status == 0, said
    return json.loads(said)


def test_a_raster_comes_in_is_corrected_copied_aligned_and_exported(
    installation: Installation, home: str, line: Line, tmp_path: Path
) -> None:
    plain(tmp_path / "agb.tif")
    model = '{"kind": "relative_ppm", "ppm": 250000}'
    add = ("raster", "add", str(tmp_path / "agb.tif"), *SAID, "--unit", "Mg/ha", "--error-model", model)
    (agb,) = answered(line, *add, "--kind", "agb", "--home", home)
    assert (agb["unit"], agb["version"], agb["error_model"]["ppm"]) == ("t/ha", 1, 250_000)

    change = ("raster", "correct", agb["sha256"][:10], "--as", "甲村", "--reason", "the year was wrong")
    (second,) = answered(line, *change, "--taken-on", "2021-01-01", "--home", home)
    assert (second["version"], second["reason"]) == (2, "the year was wrong")
    shown = answered(line, "raster", "show", agb["sha256"], "--home", home)
    assert [one["taken_on"] for one in shown["versions"]] == ["2020-01-01", "2021-01-01"]

    cover = np.full((60, 80), 2, np.uint8)
    cover[:, :1] = 5  # half of each cell in the first column of the map
    write_geotiff(tmp_path / "cover.tif", cover, FINE, 0)
    said = ("--product", "CLCD", *SAID[2:], "--kind", "land_cover")
    (lc,) = answered(line, "raster", "add", str(tmp_path / "cover.tif"), *said, "--home", home)
    (share,) = answered(
        line, "raster", "align", lc["sha256"], "--to", agb["sha256"], "--as", "甲村", "--home", home
    )
    assert (share["kind"], share["lineage"]["sources"], share["grid"]) == (
        "eligible_share", [lc["sha256"]], agb["grid"],
    )  # fmt: skip
    with RasterSource.open(installation.home.rasters / f"{share['sha256']}.tif") as source:
        values = source.read(0, 0, 30, 40).values
    assert (values[:, 0] == 0.5).all() and (values[:, 1:] == 1.0).all()

    made = answered(line, "raster", "normalise", "--home", home)
    assert {one["sha256"] for one in made} == {agb["sha256"], lc["sha256"], share["sha256"]}
    assert answered(line, "raster", "normalise", "--home", home) == []

    wrote = answered(line, "export", "stac", str(tmp_path / "stac"), "--copy", "--home", home)
    assert wrote["rasters"] == 3
    assert (tmp_path / "stac" / agb["sha256"] / f"{agb['sha256']}.tif").exists()
    status, listed = line("raster", "list", "--home", home)
    assert (status, lc["sha256"] in listed.split()) == (0, True)  # whole: other commands ask for it


def test_what_cannot_be_an_input_is_named_and_not_kept(
    installation: Installation, home: str, line: Line, tmp_path: Path
) -> None:
    def refused(make: Any, *words: str, unit: str = "t/ha") -> str:
        file = tmp_path / f"{make.__name__}.tif"
        make(file)
        status, said = line(
            "raster", "add", str(file), *SAID, "--kind", "agb", "--unit", unit, *words, "--home", home
        )
        assert status == 2
        return said

    for make, words, unit, code in (
        (without_crs, (), "t/ha", "raster_crs_missing"),
        (photograph, (), "t/ha", "raster_is_picture"),
        (vrt_of_a_secret, (), "t/ha", "raster_not_geotiff"),
        (plain, (), "tC/ha", "raster_unit_wrong"),
        (plain, (), "Mg CO2e/px", "raster_not_density"),
        (plain, ("--error-model", '{"kind": "relative_ppm"}'), "t/ha", "raster_error_model_wrong"),
        (plain, ("--error-model", "{"), "t/ha", "invalid_request"),
        (plain, ("--forest-classes", "a"), "t/ha", "land_cover_classes_wrong"),
        (plain, ("--band", "2"), "t/ha", "raster_band_missing"),
    ):
        assert code in refused(make, *words, unit=unit)
    (tmp_path / "plain.tif.aux.xml").write_text("<PAMDataset/>")
    assert "raster_sidecar" in refused(plain)
    assert answered(line, "raster", "list", "--home", home) == []
    assert not list(installation.home.rasters.glob("*"))


def test_a_stranger_brings_nothing(home: str, line: Line, tmp_path: Path) -> None:
    plain(tmp_path / "agb.tif")
    words = (
        "raster",
        "add",
        str(tmp_path / "agb.tif"),
        *SAID[:-1],
        "乙村",
        "--kind",
        "agb",
        "--unit",
        "t/ha",
    )
    status, said = line(*words, "--home", home)
    assert (status, "not_found" in said) == (2, True)
