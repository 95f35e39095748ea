"""Parcels as files that GIS programs read: GeoPackage, GeoParquet and GeoJSON.

Coordinates are those of EPSG:4490, longitude before latitude, as they are kept. The same rows give the same
bytes as far as the formats let them: a GeoPackage names an instant of change, which is the one that is given.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import shapely

from geo.crs import STORE_CRS, STORE_EPSG, Polygonal

LAYER: Final = "parcels"
_BATCH: Final = 2_000
_MADE_AT: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Format(StrEnum):
    """What can be written, by the name it is asked for with."""

    GPKG = "gpkg"
    GEOPARQUET = "geoparquet"
    GEOJSON = "geojson"

    @property
    def suffix(self) -> str:
        return {"geoparquet": ".parquet"}.get(self.value, f".{self.value}")

    @property
    def media_type(self) -> str:
        return {
            "gpkg": "application/geopackage+sqlite3",
            "geoparquet": "application/vnd.apache.parquet",
            "geojson": "application/geo+json",
        }[self.value]


About = Callable[[], Mapping[str, str]]

Kind = Literal["text", "integer", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the file: its name and what its values are; None stands for no value."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One row: an outline and its values by the fields' names."""

    outline: Polygonal
    values: Mapping[str, str | int | float | bool | None]


def write(
    path: str | os.PathLike[str],
    kind: Format,
    fields: Sequence[Field],
    rows: Iterable[ExportRow],
    made_at: datetime = _MADE_AT,
    about: Callable[[], Mapping[str, str]] = dict,
) -> int:
    """Write a file whole or not at all; answers how many rows it has. Rows are taken as they come.

    `about` is asked once the last row is written, for texts that the file's own metadata say of all rows; a
    GeoPackage has no place for them that could be written last.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part{kind.suffix}")
    counted = _Counted(rows)
    writers: Mapping[
        Format, Callable[[Path, Sequence[Field], Iterable[ExportRow], datetime, About], None]
    ] = {
        Format.GPKG: _write_gpkg,
        Format.GEOPARQUET: _write_geoparquet,
        Format.GEOJSON: _write_geojson,
    }
    try:
        writers[kind](part, fields, counted, made_at, about)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return counted.count


class _Counted:
    """Rows, and how many of them went by."""

    def __init__(self, rows: Iterable[ExportRow]) -> None:
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[ExportRow]:
        for row in self._rows:
            self.count += 1
            yield row


def _batches(rows: Iterable[ExportRow]) -> Iterator[list[ExportRow]]:
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        yield batch


# ---- GeoPackage --------------------------------------------------------------------------------------------

_WRITING: Final = threading.Lock()
_NUMPY: Final[Mapping[Kind, str]] = {
    "text": "object", "integer": "int64", "number": "float64", "boolean": "bool",
}  # fmt: skip


def _write_gpkg(
    path: Path, fields: Sequence[Field], rows: Iterable[ExportRow], made_at: datetime, _about: About
) -> None:
    """One layer of polygons and multipolygons with an R-tree, written by GDAL."""
    import pyogrio

    path.unlink(missing_ok=True)
    batches = _batches(rows)
    first = next(batches, [])  # a file without rows has its layer too
    with _gdal({"OGR_CURRENT_DATE": made_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")}):
        for number, batch in enumerate(chain((first,), batches)):
            columns = [_column(field, batch) for field in fields]
            pyogrio.raw.write(
                str(path),
                np.array(shapely.to_wkb([row.outline for row in batch]), dtype=object),
                [values for values, _ in columns],
                [field.name for field in fields],
                field_mask=[mask for _, mask in columns],
                layer=LAYER,
                driver="GPKG",
                geometry_type="MultiPolygon",
                promote_to_multi=True,
                crs=f"EPSG:{STORE_EPSG}",
                append=number > 0,
                layer_options={"GEOMETRY_NAME": "geom", "FID": "fid"} if number == 0 else None,
            )


def _column(field: Field, batch: Sequence[ExportRow]) -> tuple[Any, Any]:
    """Values and which of them are absent."""
    given = [row.values.get(field.name) for row in batch]
    absent = np.array([value is None for value in given], dtype=bool)
    stand_in: Any = None if field.kind == "text" else 0
    values = np.array([stand_in if value is None else value for value in given], dtype=_NUMPY[field.kind])
    return values, absent if absent.any() else None


@contextmanager
def _gdal(options: Mapping[str, str]) -> Iterator[None]:
    """GDAL's settings for a while; they are the process's, so one file is written at a time."""
    import pyogrio

    with _WRITING:
        before = {name: pyogrio.get_gdal_config_option(name) for name in options}
        pyogrio.set_gdal_config_options(dict(options))
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options(before)


# ---- GeoParquet --------------------------------------------------------------------------------------------


def _write_geoparquet(
    path: Path, fields: Sequence[Field], rows: Iterable[ExportRow], _made_at: datetime, about: About
) -> None:
    """GeoParquet 1.1: WKB, the system as PROJJSON, a covering box for each row. Its metadata names the box of
    all rows and is written last.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    corners = ("xmin", "ymin", "xmax", "ymax")
    box = pa.struct([(name, pa.float64()) for name in corners])
    schema = pa.schema(
        [*((field.name, kinds[field.kind]) for field in fields), ("bbox", box), ("geometry", pa.binary())]
    )
    whole = np.array([np.inf, np.inf, -np.inf, -np.inf])
    types: set[str] = set()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            outlines = np.array([row.outline for row in batch], dtype=object)
            bounds = shapely.bounds(outlines)
            whole = np.concatenate(
                [np.minimum(whole[:2], bounds[:, :2].min(0)), np.maximum(whole[2:], bounds[:, 2:].max(0))]
            )
            types |= {outline.geom_type for outline in outlines}
            columns = [
                pa.array([row.values.get(field.name) for row in batch], kinds[field.kind]) for field in fields
            ]
            boxes = pa.StructArray.from_arrays([pa.array(edge) for edge in bounds.T], fields=list(box))
            wkb = pa.array(shapely.to_wkb(outlines, flavor="iso").tolist(), pa.binary())
            writer.write_table(pa.Table.from_arrays([*columns, boxes, wkb], schema=schema))
        writer.add_key_value_metadata({"geo": json.dumps(_geo(whole, types)), **about()})


def _geo(whole: Any, types: set[str]) -> dict[str, Any]:
    covering = {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}
    return {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": sorted(types),
                "crs": STORE_CRS.to_json_dict(),
                "edges": "planar",
                **({"bbox": whole.tolist()} if types else {}),
                "covering": {"bbox": covering},
            }
        },
    }


# ---- GeoJSON -----------------------------------------------------------------------------------------------


def _write_geojson(
    path: Path, fields: Sequence[Field], rows: Iterable[ExportRow], _made_at: datetime, about: About
) -> None:
    """A FeatureCollection, a feature a line (RFC 7946: shells anticlockwise)."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        for number, row in enumerate(rows):
            turned = shapely.orient_polygons(row.outline, exterior_cw=False)
            values = {field.name: row.values.get(field.name) for field in fields}
            properties = json.dumps(values, ensure_ascii=False, allow_nan=False)
            file.write("\n" if number == 0 else ",\n")
            file.write(
                f'{{"type":"Feature","properties":{properties},"geometry":{shapely.to_geojson(turned)}}}'
            )
        said = about()
        file.write("\n]" + (f',"about":{json.dumps(said, ensure_ascii=False)}' if said else "") + "}\n")
