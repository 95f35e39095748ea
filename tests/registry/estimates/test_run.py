"""A run on the generated forest of Quzhou, and on real rasters: the same kilograms wherever computed."""

import csv
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from exactextract import exact_extract
from shapely import Point

from fixtures import quzhou, quzhou_bad
from fixtures.subcompartments import read_zip
from geo.crs import Polygonal, area_m2, to_store
from geo.errors import RasterDoesNotCover
from geo.polygon import canonical, digest
from geo.raster import RasterSource, write_geotiff
from ledger.canonical import encode
from registry.estimates.inputs import (
    ParcelInput,
    PlotsInput,
    RasterInput,
    RunInputs,
    TermsInput,
    method_inputs,
)
from registry.estimates.methods import default_parameters
from registry.estimates.methods.errors import ImplausibleRemoval, PlotOutsidePeriod
from registry.estimates.recompute import Resolve, folder, recompute, write_outlines
from registry.estimates.rules import PlotUnplaced, ProductUnknown, RecordMalformed, StoredFileChanged
from registry.estimates.run import compute
from registry.estimates.run_record import RunRecord

METHOD = "zj-ph-forest-management/1"
TERMS = TermsInput("ZJ-PH.1", "buffer", 100_000, 0, 300_000, 12_000, 30_000, ("baseline_ppm",))


@dataclass(frozen=True)
class Given:
    """Inputs with the outlines and files that they name."""

    inputs: RunInputs
    outlines: tuple[Polygonal, ...]
    files: Mapping[str, Path]

    def run(self, **changed: Any) -> RunRecord:
        return compute(replace(self.inputs, **changed), self.outlines, self.files)

    def with_file(self, name: str, path: Path) -> "Given":
        sha256 = sha(path)
        rasters = tuple(
            replace(one, sha256=sha256) if one.name == name else one for one in self.inputs.rasters
        )
        plots = PlotsInput(sha256, "volume") if name == "plots" else self.inputs.plots
        inputs = replace(self.inputs, rasters=rasters, plots=plots)
        return Given(inputs, self.outlines, {**self.files, name: path})

    def only(self, count: int) -> "Given":
        """The run of the first parcels alone."""
        inputs = replace(self.inputs, parcels=self.inputs.parcels[:count])
        return Given(inputs, self.outlines[:count], self.files)

    def resolve(self, into: Path) -> Resolve:
        """A stranger's folder: every file and outline, under names that say nothing."""
        for n, path in enumerate(self.files.values()):
            (into / f"file{n}").write_bytes(path.read_bytes())
        named = zip(self.inputs.parcels, self.outlines, strict=True)
        write_outlines({parcel.geometry_sha256: outline for parcel, outline in named}, into / "outlines")
        return folder(into)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parcel(number: int, outline: Polygonal, stand_type: str, volume: str | None = None) -> ParcelInput:
    area_cm2 = round(area_m2(outline) * 10_000)
    return ParcelInput(number, f"parcel-{number}", 1, digest(outline), area_cm2, area_cm2, stand_type, volume)


def given_files(
    outlines: list[Polygonal], parcels: list[ParcelInput], files: dict[str, Path], dates: tuple[str, str]
) -> Given:
    rasters = tuple(
        RasterInput(name, sha(path), "CLCD", dates["_end" in name])
        for name, path in files.items()
        if name != "plots"
    )
    inputs = RunInputs(
        project="project",
        period="period",
        from_on="2020-01-01",
        to_on="2025-01-01",
        pools="forest-biomass",
        **method_inputs(METHOD),
        terms=TERMS,
        rasters=rasters,
        plots=PlotsInput(sha(files["plots"]), "volume"),
        project_emissions_kg=0,
        leakage_kg=0,
        parcels=tuple(parcels),
    )
    return Given(inputs, tuple(outlines), files)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> quzhou.QuzhouInput:
    return quzhou.generate(tmp_path_factory.mktemp("quzhou"))


@pytest.fixture(scope="module")
def villages(source: quzhou.QuzhouInput) -> Given:
    """All three villages."""
    rows = read_zip(source.parcels_zip)
    outlines = [canonical(to_store(row.geometry, "EPSG:4549")) for row in rows]
    types = default_parameters()
    parcels = [
        parcel(n, outline, types.stand_type_named(row.dominant_species).code, str(row.volume_m3_ha))
        for n, (outline, row) in enumerate(zip(outlines, rows, strict=True), start=1)
    ]
    files = {
        "agb_start": source.agb_start,
        "agb_start_sd": source.agb_start_sd,
        "agb_end": source.agb_end,
        "agb_end_sd": source.agb_end_sd,
        "land_cover_start": source.land_cover_start,
        "land_cover_end": source.land_cover_end,
        "plots": source.plots_csv,
    }
    dates = (source.agb_start_on.isoformat(), source.agb_end_on.isoformat())
    return given_files(outlines, parcels, files, dates)


@pytest.fixture(scope="module")
def run(villages: Given) -> RunRecord:
    return villages.run()


def line(run: RunRecord, name: str) -> dict[str, Any]:
    chain: Any = run.document["chain"]
    return next(dict(one) for one in chain if one["line"] == name)


def plots_with(source: quzhou.QuzhouInput, path: Path, **columns: Any) -> Path:
    """The plot file with columns replaced, each by a function of the row."""
    rows = list(csv.DictReader(source.plots_csv.read_text(encoding="utf-8-sig").splitlines()))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {name: change(row) for name, change in columns.items()})
    return path


# ---- the estimate ------------------------------------------------------------------------------------------


def test_the_plots_find_what_the_forest_took_up(run: RunRecord, source: quzhou.QuzhouInput) -> None:
    change = float(line(run, "project_change")["tco2e"])
    assert change == pytest.approx(source.simulated_removal_tco2e, rel=0.042)
    assert run.tier == "verified"
    assert 40_000 < (run.uncertainty_ppm or 0) < 45_000


def test_the_chain_is_followed_line_by_line(run: RunRecord) -> None:
    change = float(line(run, "project_change")["tco2e"])
    assert line(run, "uncertainty")["rate"] == "0"
    assert float(line(run, "baseline")["tco2e"]) == pytest.approx(0.3 * change)
    net = float(line(run, "net_reduction")["tco2e"])
    assert net == pytest.approx(0.7 * change)
    assert float(line(run, "non_permanence")["tco2e"]) == pytest.approx(0.1 * net)
    assert run.estimate_kg == line(run, "issuable")["kg"] == math.floor(net * 1000)


def test_parcels_add_up_to_the_estimate(run: RunRecord) -> None:
    assert len(run.parcels) == 172
    assert sum(kg for _, kg in run.parcels) == run.estimate_kg
    assert all(kg > 0 for _, kg in run.parcels)


def test_rasters_alone_are_far_too_uncertain(villages: Given, run: RunRecord) -> None:
    screening: Any = run.document["screening"]
    assert float(screening["uncertainty_pct"]) > 100
    alone = villages.run(plots=None)
    assert (alone.tier, alone.estimate_kg) == ("screening", 0)
    assert alone.results["status"] == "reject_more_plots"
    others: Any = dict(alone.document)["screening"]
    drawn = {"second_opinion"}  # its seed is the digest of other inputs
    assert {name: others[name] for name in others.keys() - drawn} == {
        name: screening[name] for name in screening.keys() - drawn
    }
    assert others["second_opinion"]["agrees"] and screening["second_opinion"]["agrees"]


def test_the_record_says_that_plots_are_not_extrapolated(run: RunRecord) -> None:
    evidence: Any = run.document["evidence"]
    assert evidence["time"]["scale"] == "1.0"
    assert evidence["time"]["plots_span_ppm"] < 990_000


def test_measurements_further_apart_than_the_period_are_scaled_down(villages: Given) -> None:
    whole = villages.run()
    short = villages.run(from_on="2020-03-01", to_on="2024-11-01")
    evidence: Any = short.document["evidence"]
    scale = float(evidence["time"]["scale"])
    assert scale == pytest.approx(1706 / 1796)
    change = float(line(whole, "project_change")["tco2e"])
    assert float(line(short, "project_change")["tco2e"]) == pytest.approx(change * scale)


def test_plots_far_from_the_periods_ends_are_refused(villages: Given) -> None:
    with pytest.raises(PlotOutsidePeriod):
        villages.run(to_on="2026-01-01")


def test_plots_on_other_land_are_left_out_and_named(villages: Given) -> None:
    part = villages.only(95).run()
    evidence: Any = part.document["evidence"]
    assert evidence["plots_used"] + len(evidence["plots_outside"]) == 136
    assert evidence["plots_outside"]
    assert part.estimate_kg < villages.run().estimate_kg


def test_a_plot_without_a_place_is_refused(
    villages: Given, source: quzhou.QuzhouInput, tmp_path: Path
) -> None:
    path = plots_with(source, tmp_path / "plots.csv", lon=lambda row: "", lat=lambda row: "")
    with pytest.raises(PlotUnplaced):
        villages.with_file("plots", path).run()


def test_numbers_per_mu_taken_for_numbers_per_hectare_are_caught(
    villages: Given, source: quzhou.QuzhouInput, tmp_path: Path
) -> None:
    def fifteenfold(row: dict[str, str]) -> str:
        first, second = float(row["volume1_m3_ha"]), float(row["volume2_m3_ha"])
        return str(round(first + 15 * (second - first), 2))

    path = plots_with(source, tmp_path / "plots.csv", volume2_m3_ha=fifteenfold)
    with pytest.raises(ImplausibleRemoval):
        villages.with_file("plots", path).run()


def test_a_dying_forest_has_nothing_to_issue_and_a_loss(
    villages: Given, source: quzhou.QuzhouInput, tmp_path: Path
) -> None:
    path = plots_with(
        source,
        tmp_path / "plots.csv",
        volume1_m3_ha=lambda row: row["volume2_m3_ha"],
        volume2_m3_ha=lambda row: row["volume1_m3_ha"],
    )
    run = villages.with_file("plots", path).run()
    assert run.estimate_kg == 0
    assert run.loss_kg > 40_000_000
    assert all(kg == 0 for _, kg in run.parcels)
    assert line(run, "baseline")["tco2e"] == "0"


def test_a_sliver_that_is_credited_elsewhere_earns_nothing_here(villages: Given) -> None:
    first = villages.inputs.parcels[0]
    less = replace(first, credited_cm2=first.credited_cm2 // 2)
    run = villages.run(parcels=(less, *villages.inputs.parcels[1:]))
    before, after = villages.run().parcels[0][1], run.parcels[0][1]
    assert after == pytest.approx(before / 2, rel=0.01)


def test_a_land_cover_whose_classes_nobody_defined_is_refused(villages: Given) -> None:
    rasters = tuple(replace(one, product="somebody's") for one in villages.inputs.rasters)
    with pytest.raises(ProductUnknown):
        villages.run(rasters=rasters)


def test_a_raster_without_values_on_one_parcel_is_refused(
    villages: Given, source: quzhou.QuzhouInput, tmp_path: Path
) -> None:
    spoiled = quzhou_bad.agb_with_a_gap(source, tmp_path)
    with pytest.raises(RasterDoesNotCover):
        villages.with_file("agb_start", spoiled.path).run()


@pytest.mark.parametrize(
    "method",
    [
        "zj-ph-forest-management-linear/1",
        "zj-ph-forest-management-ratio/1",
        "zj-ph-forest-management-regression/1",
        "zj-ph-forest-management-ratio/2",
        "zj-ph-forest-management-regression/2",
    ],
)
def test_every_method_for_stand_volumes_runs(villages: Given, run: RunRecord, method: str) -> None:
    other = villages.run(**method_inputs(method))
    assert other.tier == "verified"
    assert other.inputs.digest() != run.inputs.digest()
    assert 0.5 < other.estimate_kg / run.estimate_kg < 2


def test_a_programme_that_deducts_withholds_its_share_for_good(villages: Given, run: RunRecord) -> None:
    """The same forest: what is withheld is missing from the kilograms, rounded down once."""
    terms = replace(TERMS, risk_mode="deduct", buffer_ppm=0, withheld_ppm=150_000)
    deducted = villages.run(terms=terms)
    chain: Any = deducted.document["chain"]
    lines = {line["line"]: line for line in chain}
    net, withheld = (Decimal(lines[name]["tco2e"]) for name in ("net_reduction", "non_permanence"))
    assert withheld == net * Decimal("0.15")
    assert deducted.estimate_kg == math.floor((net - withheld) * 1000)
    assert run.estimate_kg == math.floor(net * 1000)
    assert lines["non_permanence"]["share_ppm"] == 150_000
    assert sum(kg for _, kg in deducted.parcels) == deducted.estimate_kg


def test_pixel_shares_are_exactextracts(run: RunRecord, villages: Given, tmp_path: Path) -> None:
    """The density on forest ground, summed by an independent program over all parcels."""
    with RasterSource.open(villages.files["agb_start"]) as raster:
        grid = raster.grid
        density = raster.read(0, 0, grid.height, grid.width)
    masks = []
    for name in ("land_cover_start", "land_cover_end"):
        with RasterSource.open(villages.files[name]) as raster:
            masks.append(raster.read(0, 0, grid.height, grid.width).values == 2)
    eligible = density.valid & masks[0] & masks[1]
    path = tmp_path / "masked.tif"
    write_geotiff(path, np.where(eligible, density.values, -9999).astype(np.float32), grid, -9999)
    frame = geopandas.GeoDataFrame(geometry=list(villages.outlines), crs="EPSG:4490").to_crs(grid.crs)
    theirs = exact_extract(str(path), frame, ["sum"], output="pandas")["sum"].to_numpy()
    results: Any = run.results
    for n, (ours, other) in enumerate(zip(results["parcels"], theirs, strict=True)):
        plane_ha = float(other) * grid.dx * grid.dy / 10_000
        to_ground = villages.inputs.parcels[n].area_cm2 / 10_000 / frame.geometry.iloc[n].area
        assert float(ours["agb_start_t"]) == pytest.approx(plane_ha * to_ground, rel=1e-5)


# ---- again -------------------------------------------------------------------------------------------------


def test_a_stranger_with_the_files_gets_the_same_kilograms(
    villages: Given, run: RunRecord, tmp_path: Path
) -> None:
    again = recompute(run.text, villages.resolve(tmp_path))
    assert again.same
    assert (again.kg, again.differences) == (run.estimate_kg, ())


@pytest.mark.parametrize("name", ["agb_end", "land_cover_start", "plots"])
def test_the_file_that_differs_is_named(villages: Given, run: RunRecord, tmp_path: Path, name: str) -> None:
    resolve = villages.resolve(tmp_path)
    changed = tmp_path / "changed"
    changed.write_bytes(villages.files[name].read_bytes()[:-1] + b"!")
    wanted = run.inputs.file_digests[name]
    again = recompute(run.text, lambda sha256: changed if sha256 == wanted else resolve(sha256))
    assert again.kg is None
    assert [one.name for one in again.differences] == [name]
    assert again.differences[0].expected == wanted


def test_the_outline_that_differs_is_named(villages: Given, run: RunRecord, tmp_path: Path) -> None:
    resolve = villages.resolve(tmp_path)
    wanted, other = (villages.inputs.parcels[n].geometry_sha256 for n in (6, 7))
    again = recompute(run.text, lambda sha256: resolve(other if sha256 == wanted else sha256))
    assert [(one.name, one.found) for one in again.differences] == [("parcels.7.geometry", other)]


def test_a_record_with_more_kilograms_than_its_inputs_give_is_found_out(
    villages: Given, run: RunRecord, tmp_path: Path
) -> None:
    document = json.loads(run.text)
    document["results"]["estimate_kg"] += 1
    document["results"]["parcels"][0]["estimate_kg"] += 1
    again = recompute(encode(document).decode(), villages.resolve(tmp_path))
    assert not again.same
    assert again.kg == run.estimate_kg
    names = {one.name for one in again.differences}
    assert {"results.estimate_kg", "results.parcels.1.estimate_kg"} <= names


def test_a_record_with_other_parameters_names_the_table(
    villages: Given, run: RunRecord, tmp_path: Path
) -> None:
    document = json.loads(run.text)
    document["inputs"]["parameter_tables"]["stand_types"] = "0" * 64
    again = recompute(encode(document).decode(), villages.resolve(tmp_path))
    assert "parameter_tables.stand_types" in {one.name for one in again.differences}


def test_a_record_of_an_unknown_method_is_not_computed(
    villages: Given, run: RunRecord, tmp_path: Path
) -> None:
    document = json.loads(run.text)
    document["inputs"]["method"] = "another/9"
    again = recompute(encode(document).decode(), villages.resolve(tmp_path))
    assert again.kg is None
    assert "method" in {one.name for one in again.differences}


def test_inputs_are_read_back_as_they_were_written(villages: Given, run: RunRecord) -> None:
    assert run.inputs == villages.inputs
    assert run.document["inputs_sha256"] == villages.inputs.digest()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("inputs", None),
        ("inputs", {}),
        ("inputs", {"rasters": 1}),
        ("results", []),
        ("results", {"estimate_kg": "34", "parcels": []}),
        ("results", {"estimate_kg": 34, "parcels": [{"number": 1}]}),
        ("version", 3),
        ("version", None),
    ],
)
def test_a_record_of_another_shape_is_refused(run: RunRecord, part: str, value: Any) -> None:
    document = json.loads(run.text) | {part: value}
    record = RunRecord(encode(document).decode())
    with pytest.raises(RecordMalformed):
        _ = record.inputs, record.estimate_kg, record.parcels


@pytest.mark.parametrize(
    ("name", "value"), [("rasters", 7), ("parcels", "x"), ("plots", []), ("from_on", 3), ("to_on", "soon")]
)
def test_inputs_of_another_shape_are_refused(run: RunRecord, name: str, value: Any) -> None:
    document = json.loads(run.text)
    document["inputs"][name] = value
    with pytest.raises(RecordMalformed):
        _ = RunRecord(encode(document).decode()).inputs


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"project_emissions_kg": -1_000_000}, "project_emissions_kg"),
        ({"leakage_kg": "nan"}, "leakage_kg"),
        ({"terms": {"baseline_ppm": -5_000_000}}, "terms.baseline_ppm"),
        ({"plots": {"measurement": "../../etc"}}, "plots.measurement"),
        ({"rasters": {"band": "1"}}, "rasters.agb_start.band"),
        ({"parcels": {"area_cm2": 0}}, "parcels.1"),
        ({"parcels": {"credited_cm2": 10**15}}, "parcels.1"),
        ({"parcels": {"credited_cm2": True}}, "parcels.1"),
        ({"parcels": {"number": 2}}, "twice"),
    ],
)
def test_inputs_that_no_run_can_have_are_refused(run: RunRecord, changed: dict[str, Any], named: str) -> None:
    document = json.loads(run.text)
    for name, value in changed.items():
        held = document["inputs"][name]
        if isinstance(value, dict):
            (held[0] if isinstance(held, list) else held).update(value)
        else:
            document["inputs"][name] = value
    with pytest.raises(RecordMalformed) as refused:
        _ = RunRecord(encode(document).decode()).inputs
    assert named in str(refused.value.facts["reason"])


def test_a_parcel_that_is_counted_twice_is_refused(run: RunRecord) -> None:
    document = json.loads(run.text)
    parcels = document["inputs"]["parcels"]
    parcels.append({**parcels[0], "number": 99})
    with pytest.raises(RecordMalformed, match="twice"):
        _ = RunRecord(encode(document).decode()).inputs


def test_a_file_that_changed_on_the_way_is_refused(villages: Given, tmp_path: Path) -> None:
    other = tmp_path / "plots.csv"
    other.write_bytes(villages.files["plots"].read_bytes() + b"\n")
    with pytest.raises(StoredFileChanged):
        compute(villages.inputs, villages.outlines, {**villages.files, "plots": other})


# ---- real rasters ------------------------------------------------------------------------------------------


def test_real_tree_cover_under_a_real_outline(test_data: Path, tmp_path: Path) -> None:
    """Tree cover of Hispaniola read as density, growth and plots invented: the ground is exactextract's."""
    folder_ = test_data / "rasters" / "hispaniola"
    frame = geopandas.read_file(folder_ / "gfw_sample.gpkg")
    outline = canonical(to_store(frame.geometry.iloc[0], "EPSG:4326"))
    cover = folder_ / "Hansen_GFC-2023-v1.11_treecover2000_20N_080W.tif"
    with RasterSource.open(cover) as raster:
        grid = raster.grid
        window = raster.read(0, 0, grid.height, grid.width)
    density = np.where(window.valid, window.values, 0).astype(np.float32)
    wooded = window.valid & (density >= 30)

    def written(name: str, values: Any) -> Path:
        write_geotiff(tmp_path / f"{name}.tif", values, grid, 0 if values.dtype == np.uint8 else -9999)
        return tmp_path / f"{name}.tif"

    plots = tmp_path / "plots.csv"
    places = [Point(-71.715 + 0.001 * n, 18.66 + 0.001 * (n % 3)) for n in range(6)]
    rows = [f"P{n},oak,{p.x},{p.y},0.06,2020-01-05,80,2024-12-20,{100 + n}" for n, p in enumerate(places)]
    plots.write_text(
        "plot_id,stand_type,lon,lat,area_ha,date1,volume1_m3_ha,date2,volume2_m3_ha\n" + "\n".join(rows)
    )
    files = {
        "agb_start": written("agb_start", density),
        "agb_start_sd": written("sd1", np.full_like(density, 8)),
        "agb_end": written("agb_end", density + 12),
        "agb_end_sd": written("sd2", np.full_like(density, 9)),
        "land_cover_start": written("lc", np.where(wooded, 2, 4).astype(np.uint8)),
        "land_cover_end": written("lc", np.where(wooded, 2, 4).astype(np.uint8)),
        "plots": plots,
    }
    run = given_files([outline], [parcel(1, outline, "oak")], files, ("2020-01-01", "2024-12-31")).run()

    masked = written("masked", np.where(wooded, density, -9999).astype(np.float32))
    shares = geopandas.GeoDataFrame(geometry=[outline], crs="EPSG:4326")
    theirs = exact_extract(str(masked), shares, ["mean", "count"], output="pandas")
    whole = exact_extract(str(files["agb_start_sd"]), shares, ["count"], output="pandas")
    results: Any = run.results
    (found,) = results["parcels"]
    eligible_ha = found["eligible_cm2"] / 1e8
    forest_share = float(theirs["count"].iloc[0]) / float(whole["count"].iloc[0])
    assert eligible_ha == pytest.approx(area_m2(outline) / 10_000 * forest_share, rel=1e-4)
    assert float(found["agb_start_t"]) / eligible_ha == pytest.approx(float(theirs["mean"].iloc[0]), rel=1e-4)
    assert run.parcels == [(1, run.estimate_kg)]
    assert run.estimate_kg > 0
