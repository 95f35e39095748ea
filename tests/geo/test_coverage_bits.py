"""What is said of a parcel does not depend, by one bit, on its neighbours in a coverage or on workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon

from geo.coverage import PER_PARCEL, Coverage, build_coverage, cover_parcels
from geo.crs import Polygonal, from_store
from geo.raster import Grid
from tests.geo.shapes import stand

METRES = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 1_300, 1_100)
DEGREES = Grid("EPSG:4490", 118.77, 29.0, 0.0003, 0.00025, 700, 600)


def some_land() -> list[Polygonal]:
    """Large and small, with holes, in parts, half outside, far outside, thinner than a cell, empty."""
    rng = np.random.default_rng(11)
    drawn = [
        stand(
            float(rng.uniform(118.77, 118.9)),
            float(rng.uniform(28.9, 29.0)),
            float(rng.uniform(1e-5, 1.2e-2)),
            seed,
            hole=seed % 3 == 0,
            parts=1 + (seed % 5 == 0),
        )
        for seed in range(40)
    ]
    thin = Polygon([(118.8, 28.95), (118.83, 28.951), (118.83, 28.951002), (118.8, 28.950002)])
    far = stand(100.0, 30.0, 0.01, 1)
    with_nothing = MultiPolygon([stand(118.85, 28.95, 0.001, 3), Polygon()])
    return [*drawn, thin, far, with_nothing, Polygon()]


LAND = some_land()


def of_parcel(coverage: Coverage, parcel: int) -> list[bytes]:
    """Everything that a coverage says of one parcel."""
    told = [getattr(coverage, name)[parcel].tobytes() for name in PER_PARCEL]
    for segment in np.flatnonzero(coverage.segment_parcel == parcel):
        cells = slice(*coverage.segment_cells[segment : segment + 2])
        runs = slice(*coverage.segment_runs[segment : segment + 2])
        told += [
            coverage.segment_block[segment].tobytes(),
            coverage.cell_offset[cells].tobytes(),
            coverage.cell_share[cells].tobytes(),
            coverage.run_offset[runs].tobytes(),
            coverage.run_length[runs].tobytes(),
        ]
    return told


def same(one: Coverage, other: Coverage) -> bool:
    arrays: dict[str, Any] = other.arrays()
    return all(a.dtype == arrays[n].dtype and np.array_equal(a, arrays[n]) for n, a in one.arrays().items())


ALONE = {
    grid: [of_parcel(cover_parcels([outline], grid), 0) for outline in LAND] for grid in (METRES, DEGREES)
}


@pytest.mark.parametrize("grid", [METRES, DEGREES])
@given(chosen=st.lists(st.integers(0, len(LAND) - 1), max_size=60), workers=st.sampled_from([1, 2, 4]))
@settings(max_examples=25, deadline=None)
def test_a_parcel_has_the_same_bits_in_any_company(grid: Grid, chosen: list[int], workers: int) -> None:
    """Any subset, in any order, some twice, in any number of threads: the same as the parcel alone."""
    coverage = cover_parcels([LAND[n] for n in chosen], grid, workers=workers)
    for place, n in enumerate(chosen):
        assert of_parcel(coverage, place) == ALONE[grid][n]


def test_chunks_are_a_matter_of_speed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cover_parcels(LAND, METRES)
    for most in (1, 7, 64):
        monkeypatch.setattr("geo.coverage_build._CHUNK", most)
        assert same(cover_parcels(LAND, METRES, workers=2), whole)


def test_an_outline_may_have_more_vertices_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cover_parcels(LAND, METRES)
    monkeypatch.setattr("geo.coverage_build._CHUNK_VERTICES", 30)
    assert same(cover_parcels(LAND, METRES), whole)


def test_many_outlines_are_brought_to_the_grid_as_each_one_alone() -> None:
    """The vertices of `from_store`, whether one outline is brought or all together."""
    some: Sequence[Polygonal] = [one for one in LAND if not one.is_empty]
    there = build_coverage(
        [from_store(one, METRES.crs) for one in some], METRES, ground_m2=np.ones(len(some))
    )
    together = cover_parcels(some, METRES)
    assert np.array_equal(there.cell_share, together.cell_share)
    assert np.array_equal(there.inside_share, together.inside_share)


def test_an_outline_larger_than_the_raster_needs_no_more_room_than_its_cells() -> None:
    """A county drawn by mistake: block by block, cut at the raster's edge."""
    grid = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 64, 64)
    county = Polygon([(-4e7, -4e7), (4e7, -4e7), (4e7, 4e7), (-4e7, 4e7)])
    coverage = build_coverage([county], grid, ground_m2=np.array([county.area]))
    assert coverage.run_length.tolist() == [64] * 64
    assert coverage.covered_m2()[0] == pytest.approx(640**2)
