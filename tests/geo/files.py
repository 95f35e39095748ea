"""Parcel files as other programs write them, made as plain text, and readers without their child process."""

import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from geo.reading import formats
from geo.reading.kinds import kind_of
from geo.reading.rows import Read, Task
from geo.vector import DEFAULT_LIMITS, FeatureRow, ParcelFile

SQUARE = "118.80,28.90,12 118.81,28.90,12 118.81,28.91,12 118.80,28.91,12 118.80,28.90,12"
HOLE = "118.803,28.903 118.803,28.906 118.806,28.906 118.806,28.903 118.803,28.903"


def read_here(
    path: Path, *, encoding: str | None = None, layer: str | None = None, crs: bool = False
) -> Read:
    """What the child would read, without the child: for what is understood, not for what is withstood."""
    folder = path.with_suffix(".folder")
    folder.mkdir(exist_ok=True)
    task = Task(
        path=str(path),
        kind=kind_of(path),
        folder=str(folder),
        layer=layer,
        encoding=encoding,
        max_features=1000,
        max_unpacked_bytes=DEFAULT_LIMITS.unpacked_bytes,
        seconds=DEFAULT_LIMITS.seconds,
        memory_mib=DEFAULT_LIMITS.memory_mib,
        crs_declared=crs,
    )
    return formats.read(task)


def shape_of(wkb: bytes | None) -> BaseGeometry:
    assert wkb is not None
    return shapely.from_wkb(wkb)


def parcel_file(found: Read) -> ParcelFile:
    """What the parent would make of it."""
    rows = [
        FeatureRow(
            number, None if row.wkb is None else shapely.from_wkb(row.wkb), row.attributes, row.problem
        )
        for number, row in enumerate(found.rows, start=1)
    ]
    return ParcelFile(
        rows, found.crs or "EPSG:4490", found.encoding, found.encoding_source, found.layer, found.kind
    )


def archive(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def geopackage(path: Path, layer_sql: str) -> Path:
    """A GeoPackage whose only layer, `land`, is made by `layer_sql`."""
    with sqlite3.connect(path) as database:
        database.executescript(f"""
            PRAGMA application_id = {int.from_bytes(b"GPKG")};
            CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, srs_id INTEGER);
            CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER);
            CREATE TABLE gpkg_spatial_ref_sys
                (srs_id INTEGER, organization TEXT, organization_coordsys_id INTEGER, definition TEXT);
            INSERT INTO gpkg_contents VALUES ('land', 'features', 4490);
            INSERT INTO gpkg_geometry_columns VALUES ('land', 'geom', 4490);
            INSERT INTO gpkg_spatial_ref_sys VALUES (4490, 'EPSG', 4490, '');
            {layer_sql};
        """)
    database.close()
    return path


# --- KML ----------------------------------------------------------------------------------------------------


def kml_polygon(outer: str = SQUARE, *inner: str) -> str:
    holes = "".join(
        f"<innerBoundaryIs><LinearRing><coordinates>{one}</coordinates></LinearRing></innerBoundaryIs>"
        for one in inner
    )
    ring = f"<LinearRing><coordinates>\n\t{outer}\n</coordinates></LinearRing>"
    return f"<Polygon><tessellate>1</tessellate><outerBoundaryIs>{ring}</outerBoundaryIs>{holes}</Polygon>"


def placemark(geometry: str, *, name: str = "P1", more: str = "") -> str:
    return f"<Placemark><name>{name}</name>{more}{geometry}</Placemark>"


def kml(*inside: str, declaration: str = '<?xml version="1.0" encoding="UTF-8"?>') -> str:
    return (
        f'{declaration}\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>小班</name>'
        f"{''.join(inside)}</Document></kml>"
    )


# --- GPX ----------------------------------------------------------------------------------------------------


def gpx_segment(points: Sequence[tuple[float, float]], tag: str = "trkpt") -> str:
    """One point a second from one o'clock on."""
    times = (f"2025-04-05T01:{i // 60:02}:{i % 60:02}Z" for i in range(len(points)))
    listed = "".join(
        f'<{tag} lat="{lat!r}" lon="{lon!r}"><ele>80</ele><time>{at}</time></{tag}>'
        for (lon, lat), at in zip(points, times, strict=True)
    )
    return f"<trkseg>{listed}</trkseg>" if tag == "trkpt" else listed


def gpx(*inside: str, creator: str = "Garmin eTrex 22x") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><gpx version="1.1" creator="{creator}" '
        f'xmlns="http://www.topografix.com/GPX/1/1">{"".join(inside)}</gpx>'
    )
