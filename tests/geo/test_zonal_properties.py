"""What must hold of sums over any outlines and any values, whatever the numbers are."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import LineString, Polygon
from shapely.affinity import translate
from shapely.ops import split

from geo.coverage import Coverage, build_coverage
from geo.crs import Polygonal
from geo.raster import Grid, RasterSource, write_geotiff
from geo.zonal import Mask, ZonalSums, zonal_sums
from tests.geo.shapes import stand

GRID = Grid("EPSG:4549", 400_000.0, 3_200_000.0, 10.0, 10.0, 90, 70)
NODATA = -9999.0
SHARE = 1.2e-7
"""Two roundings of a share to float32, relative to what one whole cell adds."""

Values = NDArray[np.float32]
Write = Callable[[Values], Path]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    folder, numbers = tmp_path_factory.mktemp("rasters"), itertools.count()

    def written(values: Values) -> Path:
        path = folder / f"{next(numbers) % 8}.tif"
        write_geotiff(path, values, GRID, NODATA, compress="none")
        return path

    return written


@contextmanager
def opened(*paths: Path) -> Iterator[list[RasterSource]]:
    sources = [RasterSource.open(path) for path in paths]
    try:
        yield sources
    finally:
        for source in sources:
            source.close()


def cover(*outlines: Polygonal) -> Coverage:
    """With plane areas as areas of record, so that weights are the plane's."""
    return build_coverage(outlines, GRID, ground_m2=np.array([one.area for one in outlines]))


def sums(coverage: Coverage, path: Path, *, workers: int = 1) -> ZonalSums:
    with opened(path) as (source,):
        return zonal_sums(coverage, source, spread=True, workers=workers)


def values_of(seed: int, gaps: float) -> Values:
    rng = np.random.default_rng(seed)
    values = (rng.gamma(2.0, 40.0, (GRID.height, GRID.width))).astype(np.float32)
    values[rng.random(values.shape) < gaps] = NODATA
    return values


@st.composite
def land(draw: st.DrawFn) -> Polygonal:
    """An outline on the raster, at times across its edge, with holes and in parts."""
    x, y = draw(st.floats(0, 900)), draw(st.floats(0, 700))
    size = draw(st.floats(3, 400))
    seed, hole, parts = draw(st.integers(0, 2**32 - 1)), draw(st.booleans()), draw(st.integers(1, 2))
    outline: Polygonal = stand(400_000 + x, 3_200_000 - y, size, seed, hole=hole, parts=parts)
    return outline


seeds = st.integers(0, 2**32 - 1)
gap_shares = st.sampled_from([0.0, 0.05, 0.6])
few = settings(max_examples=12, deadline=None)


@given(land(), seeds, gap_shares, st.floats(0, np.pi), st.floats(-0.4, 0.4))
@few
def test_parts_of_an_outline_add_up_to_the_whole(
    write: Write, whole: Polygonal, seed: int, gaps: float, turn: float, off: float
) -> None:
    west, south, east, north = whole.bounds
    reach = 2 * max(east - west, north - south)
    middle = np.array([(west + east) / 2 + off * (east - west), (south + north) / 2 + off * (north - south)])
    step = np.array([np.cos(turn), np.sin(turn)]) * reach
    line = LineString(np.array([middle - step, middle + step]))
    parts: list[Any] = [part for one in shapely.get_parts([whole]) for part in split(one, line).geoms]
    path = write(values_of(seed, gaps))
    one, many = sums(cover(whole), path), sums(cover(*parts), path)
    cells = 4 * whole.length / GRID.dx + 8
    per_cell = SHARE * GRID.dx * GRID.dy * cells
    assert many.measured_m2.sum() == pytest.approx(one.measured_m2[0], rel=1e-6, abs=per_cell)
    assert many.total.sum() == pytest.approx(one.total[0], rel=1e-6, abs=per_cell * 800)


@given(st.lists(land(), min_size=2, max_size=6), seeds, gap_shares, st.randoms(use_true_random=False))
@few
def test_a_parcel_has_the_same_bits_in_any_order_and_any_company(
    write: Write, outlines: list[Polygonal], seed: int, gaps: float, chance: Random
) -> None:
    path = write(values_of(seed, gaps))
    together = sums(cover(*outlines), path, workers=2)
    order = list(range(len(outlines)))
    chance.shuffle(order)
    shuffled = sums(cover(*(outlines[n] for n in order)), path)
    alone = [sums(cover(one), path) for one in outlines]
    for name in ("total", "measured_m2", "minimum", "maximum", "variance"):
        joined = getattr(together, name)
        assert np.array_equal(getattr(shuffled, name), joined[order], equal_nan=True), name
        assert np.array_equal(np.array([getattr(one, name)[0] for one in alone]), joined, equal_nan=True), (
            name
        )


@given(land(), seeds, gap_shares, st.integers(-40, 40), st.integers(-40, 40))
@few
def test_outline_and_raster_moved_together_give_the_same(
    write: Write, outline: Polygonal, seed: int, gaps: float, columns: int, rows: int
) -> None:
    """Moved by whole cells within the raster, values with it, the far side left empty."""
    values = values_of(seed, gaps)
    other = np.full_like(values, NODATA)
    source = values[max(-rows, 0) : values.shape[0] - max(rows, 0), max(-columns, 0) :][
        :, : values.shape[1] - abs(columns)
    ]
    other[max(rows, 0) :, max(columns, 0) :][: source.shape[0], : source.shape[1]] = source
    inside = shapely.box(
        GRID.x0 + 10 * max(-columns, 0), GRID.y0 - 10 * (GRID.height - max(rows, 0)),
        GRID.x0 + 10 * (GRID.width - max(columns, 0)), GRID.y0 - 10 * max(-rows, 0),
    )  # fmt: skip
    kept = [one for one in shapely.get_parts([outline]) if inside.contains(one)]
    if not kept:
        return
    moved = [translate(one, 10.0 * columns, -10.0 * rows) for one in kept]
    here, there = sums(cover(*kept), write(values)), sums(cover(*moved), write(other))
    np.testing.assert_allclose(there.total, here.total, rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(there.measured_m2, here.measured_m2, rtol=1e-6, atol=1e-5)
    assert np.array_equal(there.minimum, here.minimum, equal_nan=True)  # type: ignore[arg-type]


@given(land(), seeds, gap_shares, st.sampled_from([0.5, 2.0, 4.0]), st.sampled_from([0.0, 8.0, 64.0]))
@few
def test_values_scaled_and_raised_scale_and_raise_the_sum(
    write: Write, outline: Polygonal, seed: int, gaps: float, factor: float, rise: float
) -> None:
    values = np.round(values_of(seed, gaps))  # whole numbers, so that nothing is rounded on the way
    changed = np.where(values == NODATA, NODATA, values * factor + rise).astype(np.float32)
    coverage = cover(outline)
    plain, other = sums(coverage, write(values)), sums(coverage, write(changed))
    assert np.array_equal(other.measured_m2, plain.measured_m2)
    assert other.total[0] == pytest.approx(factor * plain.total[0] + rise * plain.measured_m2[0], rel=1e-12)
    assert plain.variance is not None and other.variance is not None
    if plain.measured_m2[0] > 0:
        assert other.variance[0] == pytest.approx(factor**2 * plain.variance[0], rel=1e-6, abs=1e-6)


@given(land(), seeds, seeds, st.floats(0, 1))
@few
def test_more_nodata_never_means_more_measured(
    write: Write, outline: Polygonal, seed: int, more: int, share: float
) -> None:
    values = values_of(seed, 0.2)
    fewer = values.copy()
    fewer[np.random.default_rng(more).random(values.shape) < share] = NODATA
    coverage = cover(outline)
    before, after = sums(coverage, write(values)), sums(coverage, write(fewer))
    assert after.measured_m2[0] <= before.measured_m2[0]
    assert after.valid_share[0] <= before.valid_share[0] <= 1
    assert after.total[0] <= before.total[0], "no value is negative"
    assert after.unmeasured_m2[0] >= before.unmeasured_m2[0]


@given(land(), seeds, gap_shares)
@few
def test_the_mean_lies_between_the_least_and_the_greatest(
    write: Write, outline: Polygonal, seed: int, gaps: float
) -> None:
    found = sums(cover(outline), write(values_of(seed, gaps)))
    if found.measured_m2[0] == 0:
        assert np.isnan(found.mean[0]) and found.total[0] == 0
        return
    assert found.minimum is not None and found.maximum is not None and found.variance is not None
    slack = 1e-9 * found.maximum[0]
    assert found.minimum[0] - slack <= found.mean[0] <= found.maximum[0] + slack
    assert -1e-6 <= found.variance[0] <= (found.maximum[0] - found.minimum[0]) ** 2 / 4 + 1e-6


@given(land(), seeds, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@few
def test_a_mask_of_one_share_takes_that_share_of_the_ground(
    write: Write, outline: Polygonal, seed: int, share: float
) -> None:
    coverage = cover(outline)
    shares = np.full((GRID.height, GRID.width), share, np.float32)
    with opened(write(values_of(seed, 0.1)), write(shares)) as (values, mask):
        plain = zonal_sums(coverage, values)
        masked = zonal_sums(coverage, values, masks=[Mask(mask, None)])
    np.testing.assert_allclose(masked.total, share * plain.total, rtol=1e-12)
    np.testing.assert_allclose(masked.measured_m2, share * plain.measured_m2, rtol=1e-12)
    np.testing.assert_allclose(masked.area_m2, share * coverage.covered_m2(), rtol=1e-9, atol=1e-6)


def test_a_whole_raster_is_the_plain_sum_of_its_cells(write: Write) -> None:
    values = values_of(3, 0.1)
    west, north = GRID.x0, GRID.y0
    whole = shapely.box(west, north - 10 * GRID.height, west + 10 * GRID.width, north)
    found = sums(cover(whole), write(values))
    known = values != NODATA
    assert found.total[0] == pytest.approx(100 * values[known].astype(np.float64).sum(), rel=1e-12)
    assert found.measured_m2[0] == 100 * known.sum()
    assert isinstance(whole, Polygon)
