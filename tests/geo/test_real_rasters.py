"""Real rasters under real polygons, by our own road from file to sums, held against exactextract and against
the figures that the packages which ship these rasters print.

exactextract weighs cells by their share; we weigh by true ground area. So the shares are taken back out of
our weights (weight / (scale x area of the cell)) where values are compared, and weights stand as they are
where ground is meant. Shares are float32 in both programs: a share differs by 6e-8 at most, and the bounds
below are what remains of that in a sum.

Figures that packages print are quoted with package, version and place; where their rule for areas is not ours
(a sphere), the test computes theirs from our shares and says how far ours lies from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from numpy.typing import NDArray
from shapely.affinity import translate

from geo.coverage import Coverage, cover_parcels
from geo.crs import Polygonal, from_store
from geo.errors import RasterCrsMissing, RasterGridMismatch
from geo.pixels import PixelTable, class_areas_m2, sample_parcels, table_sums
from geo.raster import Grid, RasterSource, write_geotiff
from geo.vector import land_rows, read_parcels
from geo.zonal import ZonalSums, zonal_sums

RTOL = 2e-7
"""Of a sum or count, relative to the sum of what was added (float32 shares)."""
SPHERE_M = 6_378_137.0
"""Radius by which exactextract's R package takes areas of cells in degrees (raster_area.h, 0.10.1)."""

AZORES = {
    "clc2018_v2020_20u1.tif": "classes",
    "eu_dem_v11.tif": "values",
    "gpw_v411_2020_count_2020.tif": "values",
}
HISPANIOLA = {
    "Hansen_GFC-2023-v1.11_treecover2000_20N_080W.tif": "values",
    "Hansen_GFC-2023-v1.11_lossyear_20N_080W.tif": "classes",
    "gfw_forest_carbon_gross_emissions_Mg_CO2e_px_20N_080W.tif": "values",
    "NASADEM_HGT_n18w072.tif": "values",
    **{f"W080N20_LC100_v3.0.1_{year}.tif": "classes" for year in range(2015, 2020)},
}
FILES = [("sao_miguel", name, kind) for name, kind in AZORES.items()] + [
    ("hispaniola", name, kind) for name, kind in HISPANIOLA.items()
]


@pytest.fixture(scope="module")
def land(real_data: Path) -> Mapping[str, list[Polygonal]]:
    """Outlines of record: the islands' own, and Dutch fields to be laid on them."""
    files = {
        "sao_miguel": "rasters/sao_miguel/concelhos.gpkg",
        "hispaniola": "rasters/hispaniola/gfw_sample.gpkg",
        "fields": "parcels/brpgewaspercelen_definitief_2023.gpkg",
    }
    return {
        name: [row.geometry for row in land_rows(read_parcels(real_data / path))]
        for name, path in files.items()
    }


def laid_on(grid: Grid, fields: Sequence[Polygonal], *, over: float = 0.0) -> list[Polygonal]:
    """Real outlines moved onto a raster at places drawn by chance, some across its edge by `over` of it."""
    rng = np.random.default_rng(5)
    west, south = grid.x0, grid.y0 - grid.dy * grid.height
    places = rng.uniform(-over, 1 + over, (len(fields), 2)) * (grid.dx * grid.width, grid.dy * grid.height)
    return [
        translate(field, west + x - field.centroid.x, south + y - field.centroid.y)
        for field, (x, y) in zip(fields, places, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Taken:
    """Our packed pixels with their shares, in cells, as exactextract counts them."""

    table: PixelTable
    share: NDArray[np.float64]

    @classmethod
    def of(cls, coverage: Coverage, **rasters: RasterSource) -> "Taken":
        table = sample_parcels(coverage, rasters, workers=2)
        rows = table.pixel // coverage.grid.width
        area = coverage.row_areas_m2(0, coverage.grid.height)[rows] * coverage.scale[table.parcel_of_pixel()]
        return cls(table, table.weight_m2 / area)

    def sums(self, name: str, of: NDArray[Any] | float = 1.0) -> NDArray[np.float64]:
        return self.table.sums(np.where(self.table.valid[name], self.share * of, 0.0))


@pytest.mark.parametrize(("folder", "name", "kind"), FILES)
def test_every_raster_gives_the_values_of_exactextract(
    real_data: Path, land: Mapping[str, list[Polygonal]], folder: str, name: str, kind: str
) -> None:
    """Sum, count, mean, least and greatest value; of classes their fractions. Fields may cross the edge."""
    file = real_data / "rasters" / folder / name
    with RasterSource.open(file) as raster:
        outlines = [*land[folder], *laid_on(raster.grid, land["fields"], over=0.05)]
        coverage = cover_parcels(outlines, raster.grid)
        taken = Taken.of(coverage, v=raster)
        streamed = zonal_sums(coverage, raster, spread=True, workers=2)
    wanted = [
        "sum",
        "count",
        "mean",
        "min",
        "max",
        "variance",
        *(["unique", "frac"] if kind == "classes" else []),
    ]
    frame = geopandas.GeoDataFrame(
        {"id": range(len(outlines))},
        geometry=[from_store(one, raster.grid.crs) for one in outlines],
        crs=raster.grid.crs,
    )
    theirs = exact_extract(str(file), frame, wanted, output="pandas")
    values = taken.table.values["v"].astype(np.float64)
    count, total = taken.sums("v"), taken.sums("v", values)
    known = theirs["count"].to_numpy() > 1e-3
    assert known.sum() >= 10
    np.testing.assert_allclose(count, theirs["count"].to_numpy(), rtol=RTOL, atol=1e-6)
    np.testing.assert_allclose(total[known], theirs["sum"].to_numpy()[known], rtol=RTOL)
    np.testing.assert_allclose(total[known] / count[known], theirs["mean"].to_numpy()[known], rtol=RTOL)
    _same_streamed(streamed, taken, theirs["variance"].to_numpy())
    for parcel in np.flatnonzero(known):
        pixels = taken.table.pixels(int(parcel))
        here = pixels.values["v"][pixels.valid["v"]]
        assert (here.min(), here.max()) == (theirs["min"][parcel], theirs["max"][parcel])
        if kind == "classes":
            _same_classes(taken, int(parcel), theirs["unique"][parcel], theirs["frac"][parcel])


def _same_streamed(streamed: ZonalSums, taken: Taken, variance: NDArray[np.float64]) -> None:
    """The road of large rasters: the same sums in one pass, and the spread. Theirs weighs by shares, ours by
    ground, which differs by what a cell's area changes over a parcel (0.3 % over the largest outline here).
    """
    table, good = taken.table, taken.table.valid["v"]
    weight = np.where(good, table.weight_m2, 0.0)
    values = table.values["v"].astype(np.float64)
    # adding a hundred thousand equal weights one by one drifts by some 1e-12
    np.testing.assert_allclose(streamed.measured_m2, table.sums(weight), rtol=1e-11, atol=1e-6)
    np.testing.assert_allclose(streamed.total, table.sums(weight * values), rtol=1e-11, atol=1e-6)
    assert streamed.variance is not None and streamed.minimum is not None and streamed.maximum is not None
    known = streamed.measured_m2 > 0
    level = np.maximum(variance[known], (1e-3 * streamed.mean[known]) ** 2)
    assert (np.abs(streamed.variance[known] - variance[known]) <= 3e-3 * level + 1e-9).all()
    for parcel in np.flatnonzero(known):
        here = table.pixels(int(parcel))
        inside = here.values["v"][here.valid["v"]]
        assert (inside.min(), inside.max()) == (streamed.minimum[parcel], streamed.maximum[parcel])


def _same_classes(taken: Taken, parcel: int, classes: Sequence[int], fractions: Sequence[float]) -> None:
    start, end = taken.table.start[parcel : parcel + 2]
    valid = taken.table.valid["v"][start:end]
    share, value = taken.share[start:end][valid], taken.table.values["v"][start:end][valid]
    ours = {int(one): share[value == one].sum() / share.sum() for one in np.unique(value)}
    assert ours == pytest.approx(dict(zip(map(int, classes), fractions, strict=True)), rel=1e-6, abs=1e-9)


def test_metres_give_the_values_of_exactextract_too(
    real_data: Path, land: Mapping[str, list[Polygonal]], tmp_path: Path
) -> None:
    """The same elevations laid on a grid of UTM zone 26, gaps kept, and the outlines brought to it."""
    grid = Grid("EPSG:32626", 590_000.0, 4_205_000.0, 190.0, 190.0, 400, 200)
    with RasterSource.open(real_data / "rasters/sao_miguel/eu_dem_v11.tif") as source:
        window = source.read(0, 0, source.grid.height, source.grid.width)
    row, column = np.mgrid[0:200, 0:400]
    values = np.where(window.valid, window.values, -9999.0)[row % 192, column % 384].astype(np.float32)
    write_geotiff(tmp_path / "dem.tif", values, grid, -9999.0)
    outlines = land["sao_miguel"]
    with RasterSource.open(tmp_path / "dem.tif") as raster:
        coverage = cover_parcels(outlines, raster.grid)
        taken = Taken.of(coverage, v=raster)
    assert (coverage.inside_share > 1 - 1e-7).all()
    moved = [from_store(one, grid.crs) for one in outlines]
    frame = geopandas.GeoDataFrame({"id": range(6)}, geometry=moved, crs=grid.crs)
    theirs = exact_extract(str(tmp_path / "dem.tif"), frame, ["sum", "count"], output="pandas")
    np.testing.assert_allclose(taken.sums("v"), theirs["count"].to_numpy(), rtol=RTOL)
    total = taken.sums("v", taken.table.values["v"].astype(np.float64))
    np.testing.assert_allclose(total, theirs["sum"].to_numpy(), rtol=RTOL)


def test_grids_of_other_origin_and_size_cover_the_same_ground(
    real_data: Path, land: Mapping[str, list[Polygonal]]
) -> None:
    """Land cover of 100 m, tree cover of 25 m and elevation of 120 m over one outline: the same area of
    record under each; and they cannot be mixed by accident.
    """
    folder = real_data / "rasters" / "hispaniola"
    names = ("W080N20_LC100_v3.0.1_2015.tif", "NASADEM_HGT_n18w072.tif", next(iter(HISPANIOLA)))
    areas = []
    for name in names:
        with RasterSource.open(folder / name) as raster:
            taken = Taken.of(cover_parcels(land["hispaniola"], raster.grid), v=raster)
            areas.append(table_sums(taken.table, "v")[0].measured_m2)
    assert areas == pytest.approx([areas[0]] * 3, rel=1e-9)
    with RasterSource.open(folder / names[0]) as cover, RasterSource.open(folder / names[1]) as dem:
        coverage = cover_parcels(land["hispaniola"], cover.grid)
        with pytest.raises(RasterGridMismatch) as refusal:
            sample_parcels(coverage, {"cover": cover, "dem": dem})
    assert refusal.value.facts["name"] == names[1]


def test_two_releases_of_one_class_map_differ_where_their_bytes_do(
    real_data: Path, land: Mapping[str, list[Polygonal]]
) -> None:
    """LC100 of 2017 and 2018 are one file under two names: no class may change its area by a bit. That of
    2016 differs in a few cells outside the outline.
    """
    years: list[list[dict[int, float]]] = []
    whole = shapely.box(-71.80, 18.60, -71.40, 18.69)
    for year in (2016, 2017, 2018):
        file = real_data / "rasters" / "hispaniola" / f"W080N20_LC100_v3.0.1_{year}.tif"
        with RasterSource.open(file) as raster:
            coverage = cover_parcels([*land["hispaniola"], whole], raster.grid)
            years.append(class_areas_m2(sample_parcels(coverage, {"v": raster}), "v"))
    assert years[1] == years[2]
    assert years[0][0] == years[1][0] and years[0][1] != years[1][1]


def test_rasters_without_a_coordinate_system_are_refused_by_code(real_data: Path) -> None:
    """Both rasters of the Nouragues plots come without one, and no number is made of them."""
    for name in ("NouraguesRaster.tif", "nouragues_map_pred.tif"):
        with pytest.raises(RasterCrsMissing) as refusal:
            RasterSource.open(real_data / "rasters" / "nouragues" / name)
        assert refusal.value.code == "raster_crs_missing"
        assert refusal.value.facts["name"] == name


# --- what the packages print --------------------------------------------------------------------------------


def test_population_of_each_municipality_as_exactextractr_prints_it(
    real_data: Path, land: Mapping[str, list[Polygonal]]
) -> None:
    """exactextractr 0.10.1, vignette "Summarizing gridded population data":
    `exact_extract(pop_count, concelhos, 'sum')`, and `cellStats(pop_count, 'sum')` of the whole file.
    """
    with RasterSource.open(real_data / "rasters/sao_miguel/gpw_v411_2020_count_2020.tif") as raster:
        taken = Taken.of(cover_parcels(land["sao_miguel"], raster.grid), people=raster)
        whole = raster.read(0, 0, raster.grid.height, raster.grid.width)
    people = taken.sums("people", taken.table.values["people"].astype(np.float64))
    printed = [14539.875, 4149.851, 66866.711, 5293.968, 31920.496, 9093.449]
    np.testing.assert_allclose(people, printed, rtol=1e-7, atol=0.0006)
    assert round(whole.values[whole.valid].astype(np.float64).sum()) == 145_603


def test_the_commonest_land_cover_of_each_municipality_as_exactextractr_prints_it(
    real_data: Path, land: Mapping[str, list[Polygonal]]
) -> None:
    """exactextractr 0.10.1, vignette "Summarizing categorical data", `mode` (the sixth name is cut off in the
    text that was at hand). Classes of CORINE in the file's own numbering: 18 pastures, 21 land principally
    occupied by agriculture, 23 broad-leaved forest, 24 coniferous forest. By ground as by share.
    """
    with RasterSource.open(real_data / "rasters/sao_miguel/clc2018_v2020_20u1.tif") as raster:
        table = sample_parcels(cover_parcels(land["sao_miguel"], raster.grid), {"clc": raster})
    ground = class_areas_m2(table, "clc")
    assert [max(areas, key=areas.__getitem__) for areas in ground][:5] == [21, 24, 18, 23, 21]
    assert [sum(areas.values()) for areas in ground] == pytest.approx(table.area_m2.tolist(), rel=1e-9)


@pytest.fixture(scope="module")
def forest(real_data: Path, land: Mapping[str, list[Polygonal]]) -> Iterator[Taken]:
    """Tree cover of 2000, year of loss and emissions under the sample outline of mapme.biodiversity."""
    names = dict(zip(("cover", "loss", "emissions"), HISPANIOLA, strict=False))
    folder = real_data / "rasters" / "hispaniola"
    rasters = {name: RasterSource.open(folder / file) for name, file in names.items()}
    yield Taken.of(cover_parcels(land["hispaniola"], rasters["cover"].grid), **rasters)
    for raster in rasters.values():
        raster.close()


def _patches(pixels: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Number of the patch of each pixel: pixels that share a side are of one patch."""
    number = dict.fromkeys(pixels.tolist(), -1)
    patches = 0
    for first in number:
        todo = [first] if number[first] < 0 else []
        patches += len(todo)
        while todo:
            here = todo.pop()
            number[here] = patches - 1
            sides = [here - width, here + width]
            sides += [here - 1] if here % width else []
            sides += [here + 1] if (here + 1) % width else []
            todo += [side for side in sides if number.get(side, 0) < 0]
    return np.array([number[one] for one in pixels.tolist()])


def _on_sphere_ha(grid: Grid, pixel: NDArray[np.int64]) -> NDArray[np.float64]:
    row = pixel // grid.width
    north, south = (np.sin(np.radians(grid.y0 - at * grid.dy)) for at in (row, row + 1))
    return np.asarray(SPHERE_M**2 * (north - south) * np.radians(grid.dx) / 10_000)


def test_tree_cover_and_emissions_by_year_as_mapme_biodiversity_prints_them(forest: Taken) -> None:
    """mapme.biodiversity 0.9.6, tests/testthat/_snaps/calc_treecover_area_and_emissions.md: years 2000 to
    2005, `min_cover` 10 %, `min_size` 1 ha, package data of Hansen GFC-2023-v1.11 and GFW emissions.

    Their rule: forest is a pixel of at least 10 %; patches join by sides within the outline and count above
    1 ha; areas are on the sphere of 6,378,137 m; lost pixels leave from their year on. Emissions are added by
    pixel, whole, whatever share of it lies inside (not a rule of ours).
    """
    table, grid = forest.table, forest.table.grid
    cover, loss = table.values["cover"], np.where(table.valid["loss"], table.values["loss"], 0)
    tree = table.valid["cover"] & (cover >= 10)
    hectares = forest.share * _on_sphere_ha(grid, table.pixel)
    patch = np.zeros(len(tree), dtype=np.int64)
    patch[tree] = _patches(table.pixel[tree], grid.width)
    kept = tree & (np.bincount(patch[tree], hectares[tree])[patch] > 1)
    gone = [kept & (loss > 0) & (loss <= year) for year in range(6)]
    area = [hectares[kept & ~lost].sum() for lost in gone]
    printed = [2057.3295, 2056.8158, 2055.1275, 2021.2651, 2011.8703, 2007.5943]
    assert area == pytest.approx(printed, abs=6e-5)
    emitted = kept & table.valid["emissions"]
    megagrams = [
        table.values["emissions"][emitted & (loss == year) & (loss > 0)].astype(np.float64).sum()
        for year in range(6)
    ]
    assert megagrams == pytest.approx([0.0, 212.5268, 619.3609, 12932.7655, 3676.1357, 1731.4164], abs=6e-5)
    ground = [table.weight_m2[kept & ~lost].sum() / 10_000 for lost in gone]
    assert ground == pytest.approx([one * (1 - 0.00533) for one in area], rel=1e-5), "the ellipsoid at 18.6 N"


def test_neighbours_that_share_ground_count_it_once(
    real_data: Path, land: Mapping[str, list[Polygonal]]
) -> None:
    """The six municipalities one by one, and the island as one outline: the same people, the same ground."""
    with RasterSource.open(real_data / "rasters/sao_miguel/gpw_v411_2020_count_2020.tif") as raster:
        parts = Taken.of(cover_parcels(land["sao_miguel"], raster.grid), v=raster)
        island = shapely.union_all(land["sao_miguel"])
        overlap = sum(one.area for one in land["sao_miguel"]) / island.area - 1
        whole = Taken.of(cover_parcels([island], raster.grid), v=raster)  # type: ignore[list-item]
    people = parts.sums("v", parts.table.values["v"].astype(np.float64)).sum()
    together = whole.sums("v", whole.table.values["v"].astype(np.float64))[0]
    assert people == pytest.approx(together, rel=max(1e-7, 10 * abs(overlap)))
    assert abs(overlap) < 1e-6
