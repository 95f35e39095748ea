"""Errors of rasters, drawn beside E-R2 in the record of a run: what anybody may check a screening by."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shapely.affinity import translate

from geo.coverage import cover_parcels
from geo.crs import Polygonal
from geo.polygon import canonical, polygonal
from registry.estimates.ground import Ground, measure, opened
from registry.estimates.inputs import RunInputs
from registry.estimates.methods import method_version
from registry.estimates.methods.raster import add_sums
from registry.estimates.recompute import folder, recompute, write_outlines
from registry.estimates.run import compute
from registry.estimates.run_record import RunRecord
from tests.registry.estimates.test_run_properties import files as files
from tests.registry.estimates.test_run_properties import inputs_of, raster, whole


def correlated(given: RunInputs, rho_space_ppm: int) -> RunInputs:
    """The same rasters, whose errors go together by so much."""
    model: dict[str, Any] = {"kind": "per_pixel", "rho_space_ppm": rho_space_ppm, "rho_time_ppm": 0}
    densities = ("agb_start", "agb_end")
    rasters = (replace(one, error_model=model) if one.name in densities else one for one in given.rasters)
    return replace(given, rasters=tuple(rasters))


def neighbours() -> list[Polygonal]:
    """A parcel, and one that begins in the middle of its last column of cells."""
    first = whole()[0]
    west, _, east, _ = first.bounds
    return [first, canonical(polygonal(translate(first, east - west)))]


def screening(record: RunRecord) -> Any:
    return record.document["screening"]


def ground(files: dict[str, Path], outlines: list[Polygonal]) -> Ground:
    given = inputs_of(files, outlines, plots=None)
    with opened(files) as rasters:
        return measure(
            given,
            outlines,
            rasters,
            method_version(given.method).parameters,
            lambda some, _, grid: cover_parcels(some, grid),
        )


@pytest.mark.parametrize("rho_space_ppm", [0, 300_000, 1_000_000])
@pytest.mark.parametrize("land", [whole, neighbours])
def test_formula_and_draws_agree_however_far_errors_go_together(
    files: dict[str, Path], land: Callable[[], list[Polygonal]], rho_space_ppm: int
) -> None:
    outlines = land()
    record = compute(correlated(inputs_of(files, outlines, plots=None), rho_space_ppm), outlines, files)
    told = screening(record)
    opinion = told["second_opinion"]
    assert opinion["agrees"], opinion["checks"]
    assert opinion["seed_sha256"] == record.inputs.digest()
    assert (opinion["draws"], opinion["parts"]) == (10_000, len(outlines))
    assert float(opinion["rho_space"]) == rho_space_ppm / 1_000_000
    assert float(opinion["se_tc"]) == pytest.approx(float(told["se_agb_t"]), rel=0.03)
    assert float(opinion["uncertainty_pct"]) == pytest.approx(float(told["uncertainty_pct"]), rel=0.08)
    middle = float(opinion["change_quantiles_tco2e"]["0.5"])
    assert middle == pytest.approx(float(told["delta_tco2e"]), abs=float(told["se_agb_t"]) / 5)


def test_the_parts_of_the_parcels_are_the_whole_with_a_shared_cell_counted_once(
    files: dict[str, Path],
) -> None:
    measured = ground(files, neighbours()).measured
    added = add_sums(measured.parts)
    rho = measured.rho_space
    se = ((1 - rho) * added.error_squared_t2 + rho * added.error_t**2) ** 0.5
    assert se == pytest.approx(measured.change.se_agb_t, rel=1e-12)
    assert added.delta_t == pytest.approx(measured.change.delta_agb_t, rel=1e-12)
    assert added.area_ha == pytest.approx(measured.area_ha, rel=1e-12)
    alone = [ground(files, [one]).measured.parts[0].error_squared_t2 for one in neighbours()]
    assert added.error_squared_t2 > sum(alone) * (1 + 1e-6), "the outlines share no cell"


def test_a_screening_is_computed_again_to_the_same_draws(files: dict[str, Path], tmp_path: Path) -> None:
    outlines = whole()
    given = inputs_of(files, outlines, plots=None)
    record = compute(given, outlines, files)
    write_outlines(
        {one.geometry_sha256: line for one, line in zip(given.parcels, outlines, strict=True)}, tmp_path
    )
    again = recompute(record.text, folder(tmp_path, *{path.parent for path in files.values()}))
    assert again.same, again.differences


def test_a_record_of_the_first_release_has_no_drawn_errors(files: dict[str, Path]) -> None:
    outlines = whole()
    first = [
        replace(raster(one.name, files[one.name]), statement=None)
        for one in inputs_of(files, outlines).rasters
    ]
    record = compute(
        inputs_of(files, outlines, plots=None, rasters=tuple(first), record_version=1), outlines, files
    )
    assert "second_opinion" not in screening(record)


def test_drawing_takes_no_time_beside_the_run() -> None:
    from registry.estimates.methods import ChangeSums
    from registry.estimates.methods.montecarlo_raster import raster_opinion

    parts = [ChangeSums(3.0, 1.0 + n % 7, 2.0, 0.1) for n in range(200)]
    began = time.process_time()
    told = raster_opinion(parts, rho_space=0.3, se_t=400.0, z_value=1.645, seed_sha256="ab" * 32)
    assert told.draws == 10_000
    assert time.process_time() - began < 0.3
