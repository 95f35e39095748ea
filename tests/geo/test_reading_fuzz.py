"""Whatever the bytes are, a reader reads them or refuses them by name; nothing else comes out of it."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo.errors import GeoRefusal
from tests.geo.files import (
    HOLE,
    SQUARE,
    archive,
    geopackage,
    gpx,
    gpx_segment,
    kml,
    kml_polygon,
    placemark,
    read_here,
)

OUTLINE = shapely.box(118.8, 28.9, 118.81, 28.91)
ABOUT: dict[str, Any] = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB"}},
}
FEATURE: dict[str, Any] = {
    "type": "Feature",
    "id": 1,
    "properties": {"村": "上方"},
    "geometry": json.loads(shapely.to_geojson(OUTLINE)),
}


def parquet(path: Path, about: Any) -> Path:
    made = pyarrow.table({"geometry": [OUTLINE.wkb, None], "n": ["上", "b"]})
    made = made.replace_schema_metadata({b"geo": json.dumps(about).encode()})
    pyarrow.parquet.write_table(made, path, compression="none")
    return path


def samples() -> dict[str, bytes]:
    """A small good file of each format."""
    walk = [(x, y) for x, y in OUTLINE.exterior.coords]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = kml(f"<Folder><name>f</name>{placemark(kml_polygon(SQUARE, HOLE))}</Folder>").encode()
        blob = (b"GP\x00\x01\x8a\x11\x00\x00" + OUTLINE.wkb).hex()
        layer = (
            f"CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB); INSERT INTO land VALUES (1, x'{blob}')"
        )
        return {
            "kml": document,
            "gpx": gpx(f"<trk>{gpx_segment(walk)}</trk>").encode(),
            "csv": f'村,WKT\n上方,"SRID=4490;{OUTLINE.wkt}"\n'.encode("gbk"),
            "geojson": json.dumps(FEATURE, ensure_ascii=False).encode(),
            "kmz": archive(folder / "a.kmz", {"doc.kml": document}).read_bytes(),
            "parquet": parquet(folder / "a.parquet", ABOUT).read_bytes(),
            "gpkg": geopackage(folder / "a.gpkg", layer).read_bytes(),
        }


SAMPLES = samples()
PIECES = st.one_of(
    st.binary(min_size=0, max_size=4),
    st.sampled_from(
        [b"<", b"&", b'"', b"[", b"}", b"\x00", b"\xff", b"nan", b"1e999", b"null", b"SRID=", b"("]
    ),
)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), PIECES), min_size=1, max_size=4)


def read_or_refuse(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "file"
        file.write_bytes(content)
        try:
            read_here(file, crs=True)
        except GeoRefusal as refusal:
            assert str(refusal)
            assert json.dumps(refusal.facts)


@pytest.mark.parametrize("kind", SAMPLES)
@settings(max_examples=60, deadline=None)
@given(changes=CHANGES)
def test_a_file_with_a_few_bytes_changed_is_read_or_refused(
    kind: str, changes: list[tuple[float, int, bytes]]
) -> None:
    data = SAMPLES[kind]
    for place, length, piece in changes:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + length :]
    read_or_refuse(data)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["Polygon", "type", "EPSG:4490", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "coordinates", "properties", "name", "crs"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(part=st.sampled_from(["type", "properties", "geometry", "id", "crs", "features"]), value=JSON)
@example("geometry", {"type": "Polygon", "coordinates": [[[True, 1], [2, 3], [4, 5], [True, 1]]]})
@example("geometry", {"type": "Polygon", "coordinates": [[[10**400, 1], [2, 3], [4, 5], [10**400, 1]]]})
@example("geometry", {"type": "MultiPolygon", "coordinates": [[[[1], [2], [3], [1]]]]})
def test_any_json_in_a_feature_is_read_or_refused(part: str, value: Any) -> None:
    read_or_refuse(json.dumps(FEATURE | {part: value}).encode())


@settings(max_examples=80, deadline=None)
@given(
    part=st.sampled_from(["primary_column", "columns", "encoding", "crs", "edges", "covering"]), value=JSON
)
def test_any_json_about_the_outlines_of_parquet_is_read_or_refused(part: str, value: Any) -> None:
    if part in ABOUT:
        about = ABOUT | {part: value}
    else:
        about = ABOUT | {"columns": {"geometry": {"encoding": "WKB", part: value}}}
    with tempfile.TemporaryDirectory() as name:
        read_or_refuse(parquet(Path(name) / "a", about).read_bytes())
