"""What a registry carries from its start: libraries that measure and read files come with their first use."""

import json
import subprocess
import sys
from pathlib import Path

WITH_FIRST_USE = {
    "numba", "llvmlite", "pyogrio", "geopandas", "pandas", "rasterio", "pypdf", "pyarrow", "PIL", "pystac",
    "mapbox_vector_tile", "dask", "distributed", "matplotlib", "python_calamine",
}  # fmt: skip


def loaded_by(program: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after `program`."""
    say = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{say}"], stdout=subprocess.PIPE, check=True, text=True
    )
    return set(json.loads(done.stdout))


def test_a_service_that_measures_nothing_yet_has_not_loaded_what_measures() -> None:
    loaded = loaded_by("import registry.app, registry.cli")
    assert {"fastapi", "shapely", "sqlalchemy"} <= loaded
    assert not loaded & WITH_FIRST_USE


def test_reading_a_parcel_file_leaves_gdal_in_its_children(tmp_path: Path) -> None:
    """One child reads the file; another one lists the drivers that the first has to turn off."""
    square = [[118.8, 28.9], [118.81, 28.9], [118.81, 28.91], [118.8, 28.91], [118.8, 28.9]]
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [square]},
    }
    file = tmp_path / "parcels.geojson"
    file.write_text(json.dumps(feature), encoding="utf-8")
    loaded = loaded_by(
        f"from geo.vector import read_parcels; assert len(read_parcels({str(file)!r}).rows) == 1"
    )
    assert not loaded & {"pyogrio", "pandas"}


def test_the_kernels_come_with_the_first_coverage() -> None:
    loaded = loaded_by(
        "from geo.coverage import build_coverage; from geo.raster import Grid; from shapely import box\n"
        "grid = Grid('EPSG:4549', 500_000.0, 3_200_100.0, 10.0, 10.0, 10, 10)\n"
        "assert build_coverage([box(500_010, 3_200_010, 500_050, 3_200_050)], grid).parcels == 1"
    )
    assert "numba" in loaded
