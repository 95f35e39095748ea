"""From a file to rows: which reader, and what holds for all of them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from geo.errors import (
    CrsDatumUnknown,
    CrsMeridianUnknown,
    CrsZoneToConfirm,
    EncodingUnknown,
    FormatUnsupported,
    HeadingsRefused,
    PrjMissing,
    TableTooLarge,
)
from geo.reading import kinds
from geo.reading.archive import unpack
from geo.reading.csv_wkt import read_csv
from geo.reading.geojson import read_geojson
from geo.reading.geopackage import read_geopackage
from geo.reading.geoparquet import read_geoparquet
from geo.reading.gpx import read_gpx
from geo.reading.hints import datum_hints
from geo.reading.kml import read_kml
from geo.reading.markup import load
from geo.reading.rows import Read, Task, understood
from geo.reading.shapefile import read_shapefile

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""

_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_HINT_ROWS: Final = 1000
MAX_COLUMNS: Final = 1000
MAX_HEADING: Final = 200
"""Characters of a column's name. Each name is compared with each known one, by the process that serves."""
MAX_VALUES: Final = 10_000_000
"""Of all rows: 200,000 with fifty columns. They are held by the process that serves, empty ones, too."""
_ROWS_AT_ONCE: Final = 10_000
_EASTINGS_M: Final = (100e3, 900e3)  # of a zone of 3 or 6 degrees whose meridian has 500 km
_ZONES: Final = {zone: f"EPSG:{4513 + zone - 25}" for zone in range(25, 46)} | {
    zone: f"EPSG:{4491 + zone - 13}" for zone in range(13, 24)
}
"""CGCS2000 with the zone before the easting: zones of 3 degrees (25 to 45) and of 6 (13 to 23)."""
_MERIDIANS: Final = tuple(f"EPSG:{code}" for code in range(4534, 4555))
"""CGCS2000 without a zone number: 3-degree zones around 75 to 135 degrees east."""
_WEB_MERCATOR_M: Final = (8.1e6, 1.9e6, 15.1e6, 7.2e6)
"""China on the maps of the web; the east of it looks like a 6-degree zone of the far west."""
_ROOTS: Final = {
    "FeatureCollection": "GML",
    "SpatialDataset": "GML",
    "OGRVRTDataSource": "OGR VRT",
    "VRTDataset": "GDAL VRT",
    "html": "HTML",
    "svg": "SVG",
    "Workbook": "Excel (XML)",
    "osm": "OpenStreetMap XML",
    "LandXML": "LandXML",
    "TrainingCenterDatabase": "TCX",
}


def read(task: Task) -> Read:
    """Read a file by what it is; of an archive, the data set in it.

    Raises what the readers raise, and PrjMissing if neither the file nor the caller says the system.
    """
    names: tuple[str, ...] = ()
    if task.kind == kinds.ZIP:
        unpacked = unpack(task)
        names = unpacked.names
        if unpacked.main == ".shp":
            found = read_shapefile(unpacked.files, task)
        else:
            found = _single(unpacked.files[unpacked.main], task)
    else:
        found = _reader(task.kind)(Path(task.path), task)
    _check_headings(found)
    _check_text(found)
    found = replace(found, rows=understood(found.rows))
    if found.crs is None and not task.crs_declared:
        raise _no_system(found)
    return replace(found, hints=tuple(sorted({*found.hints, *datum_hints(_texts(found, names))})))


def _check_headings(found: Read) -> None:
    """Refuse more columns, longer names, or more values than any table of land has: formats without a heading
    may have other ones in each row (HeadingsRefused, TableTooLarge).
    """
    values = sum(len(row.attributes) for row in found.rows)
    if values > MAX_VALUES:
        raise TableTooLarge(values=values, limit=MAX_VALUES)
    names: set[str] = set()
    for row in found.rows:
        names.update(row.attributes)
        if len(names) > MAX_COLUMNS:
            break
    length = max(map(len, names), default=0)
    if len(names) > MAX_COLUMNS or length > MAX_HEADING:
        raise HeadingsRefused(
            columns=len(names), length=length, most_columns=MAX_COLUMNS, most_length=MAX_HEADING
        )


def _check_text(found: Read) -> None:
    """Refuse characters that no database keeps: NUL, and halves of a pair, which JSON can spell."""
    for start in range(0, len(found.rows), _ROWS_AT_ONCE):
        some = [row.attributes for row in found.rows[start : start + _ROWS_AT_ONCE]]
        texts = {value for row in some for value in row.values() if isinstance(value, str)}
        if _NO_TEXT.search("\n".join(texts.union(*some))):
            _refuse_text(found)


def _refuse_text(found: Read) -> None:
    """Name the first row and field that has such characters."""
    for number, row in enumerate(found.rows, start=1):
        for name, value in row.attributes.items():
            if _NO_TEXT.search(name) or (isinstance(value, str) and _NO_TEXT.search(value)):
                raise EncodingUnknown(encoding=found.encoding, row=number, field=_NO_TEXT.sub("?", name)[:60])


def _single(file: Path, task: Task) -> Read:
    """A file out of an archive; an archive in an archive was refused before."""
    return _reader(kinds.kind_of(file))(file, task)


def _reader(kind: str) -> Callable[[Path, Task], Read]:
    readers: dict[str, Callable[[Path, Task], Read]] = {
        kinds.GEOPACKAGE: read_geopackage,
        kinds.GEOJSON: read_geojson,
        kinds.XML: _read_xml,
        kinds.PARQUET: read_geoparquet,
        kinds.TEXT: read_csv,
    }
    return readers[kind]


def _read_xml(path: Path, task: Task) -> Read:
    markup = load(path, task.encoding)
    if markup.root == "kml":
        return read_kml(markup, task)
    if markup.root == "gpx":
        return read_gpx(markup, task)
    raise FormatUnsupported(found=_ROOTS.get(markup.root, f"XML ({markup.root[:40]})"))


def _texts(found: Read, names: tuple[str, ...]) -> Iterator[str]:
    """What may speak of the datum: names in the archive, of layer and columns, and the first rows' texts."""
    yield from names
    yield found.layer
    yield found.crs or ""
    for row in islice(found.rows, _HINT_ROWS):
        yield from row.attributes
        yield from (value for value in row.attributes.values() if isinstance(value, str))


# --- a system that is missing -------------------------------------------------------------------------------


def _no_system(found: Read) -> PrjMissing:
    """The refusal that says what the coordinates tell."""
    bounds = _bounds(found)
    member = found.crs_member
    if bounds is None:
        return PrjMissing(member=member, suggestions=[])
    west, south, east, north = bounds
    if max(abs(west), abs(east)) <= 180 and max(abs(south), abs(north)) <= 180:
        return CrsDatumUnknown(member=member, suggestions=["EPSG:4490", "EPSG:4326"])
    web = ["EPSG:3857"] if _inside(bounds, _WEB_MERCATOR_M) else []
    for low, high in ((west, east), (south, north)):  # northings of China are between 2 and 6 million
        zone = _zone(low)
        if zone is not None and web:
            return PrjMissing(member=member, suggestions=[*web, _ZONES[zone]])
        if zone is not None and zone == _zone(high):
            return CrsZoneToConfirm(member=member, suggestions=[_ZONES[zone]], x=round(low))
        if _EASTINGS_M[0] <= low and high <= _EASTINGS_M[1]:
            return CrsMeridianUnknown(member=member, suggestions=list(_MERIDIANS), x=round(low))
    return PrjMissing(member=member, suggestions=web)


def _inside(bounds: Bounds, frame: Bounds) -> bool:
    return frame[0] <= bounds[0] and frame[1] <= bounds[1] and bounds[2] <= frame[2] and bounds[3] <= frame[3]


def _zone(easting: float) -> int | None:
    """The zone number before an easting."""
    zone, rest = divmod(easting, 1e6)
    return int(zone) if _EASTINGS_M[0] <= rest <= _EASTINGS_M[1] and int(zone) in _ZONES else None


def _bounds(found: Read) -> Bounds | None:
    """Of all outlines together."""
    import shapely

    shapes = [shapely.from_wkb(row.wkb) for row in found.rows if row.wkb is not None]
    xy = shapely.get_coordinates(shapes) if shapes else np.empty((0, 2))
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        return None
    (west, south), (east, north) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    return west, south, east, north
