"""What a run does not depend on, and bamboo: credited up to the level at which a stand is full."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box
from shapely.geometry import Polygon

from geo.coverage_store import CoverageStore
from geo.crs import Polygonal, area_m2
from geo.polygon import canonical, digest, polygonal
from ledger.canonical import JsonValue
from registry.estimates.inputs import (
    ParcelInput,
    PlotsInput,
    RasterInput,
    RunInputs,
    SaturationInput,
    method_inputs,
)
from registry.estimates.methods import method_version
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.methods.plot_files import READER
from registry.estimates.recompute import folder, recompute, write_outlines
from registry.estimates.rules import RasterValuesWrong
from registry.estimates.run import compute
from registry.estimates.run_record import RunRecord
from tests.registry.estimates.test_run import METHOD, TERMS
from tests.registry.forest import FOREST, GRID, OUTLINES, plots_text, write, write_classes

BAMBOO = "zj-ph-bamboo-management/1"
CULMS = "plot_id,stratum,lon,lat,area_ha,measured_on,dbh_cm,du,culms"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(11)
    shape = (GRID.height, GRID.width)
    made = {
        "agb_start": write(at / "s.tif", generator.uniform(40, 60, shape).astype(np.float32)),
        "agb_start_sd": write(at / "ssd.tif", generator.uniform(4, 8, shape).astype(np.float32)),
        "agb_end": write(at / "e.tif", generator.uniform(60, 80, shape).astype(np.float32)),
        "agb_end_sd": write(at / "esd.tif", 7.0),
        "land_cover_start": write_classes(at / "ls.tif", FOREST),
        "land_cover_end": write_classes(at / "le.tif", generator.integers(2, 4, shape).astype(np.uint8)),
        "share": write(at / "share.tif", 0.25),
        "wrong": write(at / "wrong.tif", 1.5),
        "plots": at / "plots.csv",
    }
    made["plots"].write_text(plots_text(), encoding="utf-8")
    return made


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def raster(name: str, path: Path, **said: Any) -> RasterInput:
    taken_on = "2024-12-31" if "_end" in name else "2020-01-01"
    given_: dict[str, Any] = {"kind": name.rsplit("_", 1)[0], "statement": 1, "band": 1} | said
    return RasterInput(name, sha(path), "CLCD", taken_on, **given_)


def inputs_of(
    files: Mapping[str, Path], outlines: Sequence[Polygonal], stand_type: str = "chinese_fir", **changed: Any
) -> RunInputs:
    parcels = []
    for n, outline in enumerate(outlines, 1):
        cm2 = round(area_m2(outline) * 10_000)
        parcels.append(ParcelInput(n, f"parcel-{n}", 1, digest(outline), cm2, cm2, stand_type, None))
    names = [name for name in files if name not in ("plots", "share", "wrong")]
    values: dict[str, Any] = {
        "rasters": tuple(raster(name, files[name]) for name in names),
        "plots": PlotsInput(sha(files["plots"]), "volume", READER),
        **method_inputs(METHOD),
    } | changed
    return RunInputs(
        project="project",
        period="period",
        from_on="2020-01-01",
        to_on="2025-01-01",
        pools="forest-biomass",
        terms=TERMS,
        project_emissions_kg=0,
        leakage_kg=0,
        parcels=tuple(parcels),
        **values,
    )


def whole() -> list[Polygonal]:
    return [canonical(outline) for outline in OUTLINES]


def sums(record: RunRecord) -> tuple[int, float, float]:
    document: Any = record.document
    parcels = document["results"]["parcels"]
    return (
        document["results"]["eligible_cm2"],
        sum(float(one["agb_start_t"]) for one in parcels),
        float(document["screening"]["se_agb_t"]),
    )


@settings(max_examples=8, deadline=None)
@given(cut=st.floats(0.05, 0.95), upright=st.booleans())
def test_a_parcel_that_was_split_measures_what_it_did_whole(
    files: dict[str, Path], cut: float, upright: bool
) -> None:
    outlines = whole()
    west, south, east, north = outlines[0].bounds
    at = (west + cut * (east - west), north) if upright else (east, south + cut * (north - south))
    half = box(west - 1, south - 1, *at)
    parts = [canonical(polygonal(one)) for one in (outlines[0] & half, outlines[0] - half)]
    assert all(isinstance(one, Polygon) for one in parts)
    before = compute(inputs_of(files, outlines), outlines, files)
    after = compute(inputs_of(files, [*parts, *outlines[1:]]), [*parts, *outlines[1:]], files)
    for one, other in zip(sums(before), sums(after), strict=True):
        assert other == pytest.approx(one, rel=1e-6)
    assert after.estimate_kg == pytest.approx(before.estimate_kg, abs=2)


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(3)))
def test_the_order_of_parcels_does_not_matter(files: dict[str, Path], order: list[int]) -> None:
    outlines = whole()
    one = compute(inputs_of(files, outlines), outlines, files)
    turned = [outlines[n] for n in order]
    other = compute(inputs_of(files, turned), turned, files)
    assert sums(other)[0] == sums(one)[0]
    assert other.estimate_kg == one.estimate_kg
    by_outline = {digest(outlines[n]): dict(one.parcels)[n + 1] for n in range(3)}
    assert {digest(turned[n]): dict(other.parcels)[n + 1] for n in range(3)}.keys() == by_outline.keys()


def test_a_store_cold_or_warm_or_none_gives_the_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    outlines = whole()
    inputs = inputs_of(files, outlines)
    store = CoverageStore(tmp_path)
    told: list[tuple[str, int, int]] = []
    none = compute(inputs, outlines, files, progress=lambda *step: told.append(step))
    cold, warm = (compute(inputs, outlines, files, store.coverage) for _ in range(2))
    few = compute(inputs_of(files, outlines[:2]), outlines[:2], files, store.coverage)
    assert none.text == cold.text == warm.text
    assert few.text == compute(inputs_of(files, outlines[:2]), outlines[:2], files).text
    assert told == [("estimate", n, 4) for n in range(5)]


def test_the_record_holds_the_second_opinion_the_plots_and_the_rows(files: dict[str, Path]) -> None:
    outlines = whole()
    document: Any = compute(inputs_of(files, outlines), outlines, files).document
    evidence = document["evidence"]
    assert document["version"] == 2
    assert evidence["second_opinion"]["seed_sha256"] == document["inputs_sha256"]
    assert [one["plot_id"] for one in evidence["plots"]] == [f"P{n}" for n in range(1, 7)]
    assert document["parameters"]["stand_types.chinese_fir"]["mark"] in "SPA"
    assert "stand_types.oak" not in document["parameters"]
    assert {"gdal", "geos", "numpy", "proj", "python", "shapely", "tanhui"} == set(document["software"])


# ---- error models, shares of forest ------------------------------------------------------------------------


def plain_object(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def test_an_error_model_stands_for_a_raster_of_deviations(files: dict[str, Path]) -> None:
    outlines = whole()
    inputs = inputs_of(files, outlines)
    flat: dict[str, Any] = {"kind": "absolute", "kg_ha": 7_000, "rho_space_ppm": 300_000, "rho_time_ppm": 0}
    with_raster = tuple(
        replace(one, error_model=flat | {"kind": "per_pixel"})
        if one.name in ("agb_start", "agb_end")
        else one
        for one in inputs.rasters
        if one.name != "agb_start_sd"
    )
    said = tuple(
        replace(one, error_model=flat) if one.name.startswith("agb") else one
        for one in with_raster
        if not one.name.endswith("_sd")
    )
    here = {name: path for name, path in files.items() if not name.endswith("_sd")}
    by_model = compute(replace(inputs, rasters=said), outlines, here)
    flat_start = files | {"agb_start_sd": files["agb_end_sd"]}
    by_raster = compute(
        replace(inputs, rasters=(*with_raster, raster("agb_start_sd", files["agb_end_sd"]))),
        outlines,
        flat_start,
    )
    told, other = (dict(plain_object(one.document["screening"])) for one in (by_model, by_raster))
    del told["second_opinion"], other["second_opinion"]  # drawn from the digest of the inputs, which differ
    assert told == other
    assert RunRecord(by_model.text).inputs.has_raster("agb_end_sd") is False


def test_shares_of_forest_stand_for_a_land_cover(files: dict[str, Path]) -> None:
    outlines = whole()
    inputs = inputs_of(files, outlines)

    def with_share(name: str) -> RunRecord:
        rasters = tuple(
            raster(one.name, files[name], kind="eligible_share") if one.name.startswith("land") else one
            for one in inputs.rasters
        )
        here = files | {"land_cover_start": files[name], "land_cover_end": files[name]}
        return compute(replace(inputs, rasters=rasters), outlines, here)

    quarter = with_share("share")
    document: Any = quarter.document
    for parcel, one in zip(inputs.parcels, document["results"]["parcels"], strict=True):
        assert one["eligible_cm2"] == pytest.approx(parcel.credited_cm2 / 4, rel=1e-6)
    with pytest.raises(RasterValuesWrong):
        with_share("wrong")


# ---- bamboo ------------------------------------------------------------------------------------------------


def culms_text(first: int, second: int) -> str:
    """Six plots of 0.06 ha with so many culms of 10 cm at the two dates."""
    lines = [CULMS]
    for n in range(6):
        outline = OUTLINES[n % 3]
        west, south, east, north = outline.bounds
        x, y = west + (east - west) * (0.3 + 0.4 * (n >= 3)), (south + north) / 2
        for on, count in (("2020-01-10", first), ("2024-12-10", second + n)):
            lines.append(f"P{n + 1},moso_bamboo,{x},{y},0.06,{on},10,2,{count}")
    return "\n".join(lines) + "\n"


def bamboo(
    files: dict[str, Path], folder_: Path, first: int, second: int, before: SaturationInput | None = None
) -> tuple[RunRecord, dict[str, Any], dict[str, Path]]:
    path = folder_ / f"culms-{first}-{second}.csv"
    path.write_text(culms_text(first, second), encoding="utf-8")
    here = files | {"plots": path}
    inputs = inputs_of(
        here,
        whole(),
        "moso_bamboo",
        plots=PlotsInput(sha(path), "culms", READER),
        saturation=before,
        **method_inputs(BAMBOO),
    )
    record = compute(inputs, whole(), here)
    document: Any = record.document
    return record, document["evidence"]["saturation"], here


def test_bamboo_below_its_level_is_credited_what_it_grew(files: dict[str, Path], tmp_path: Path) -> None:
    record, said, here = bamboo(files, tmp_path, 100, 110)
    assert said["creditable_tco2e"] == said["raw_tco2e"]
    assert record.estimate_kg > 0
    write_outlines({digest(one): one for one in whole()}, tmp_path / "outlines")
    for name, path in here.items():
        (tmp_path / f"{name}{path.suffix}").write_bytes(path.read_bytes())
    assert recompute(record.text, folder(tmp_path)).same


def test_bamboo_that_is_full_is_credited_no_more(files: dict[str, Path], tmp_path: Path) -> None:
    """At the start below the level, at the end far above it: the cap is what is credited."""
    record, said, _ = bamboo(files, tmp_path, 150, 400)
    stable = method_version(BAMBOO).parameters.bamboo_setting("c_stable_tc_ha")
    results: Any = record.results
    hectares = results["eligible_cm2"] / 1e8
    room = max(0.0, stable - float(said["start_tc_ha"])) * hectares * C_TO_CO2
    assert float(said["raw_tco2e"]) > float(said["cap_tco2e"])
    assert float(said["creditable_tco2e"]) == pytest.approx(room, rel=1e-6)
    chain: Any = record.document["chain"]
    assert float(chain[0]["tco2e"]) == float(said["creditable_tco2e"])


def test_what_was_credited_before_is_not_credited_again(files: dict[str, Path], tmp_path: Path) -> None:
    _, first, _ = bamboo(files, tmp_path, 100, 130)
    before = SaturationInput(first["start_tc_ha"], first["raw_tco2e"], first["creditable_tco2e"], ("run-1",))
    record, second, _ = bamboo(files, tmp_path, 130, 400, before)
    together = float(first["creditable_tco2e"]) + float(second["creditable_tco2e"])
    assert together == pytest.approx(float(second["cap_tco2e"]), rel=1e-9)
    assert record.inputs.saturation == before
    assert json.loads(record.text)["inputs"]["saturation"]["runs"] == ["run-1"]
