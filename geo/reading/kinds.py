"""What a file is, by its content; names are for people."""

import re
from pathlib import Path
from typing import Final

from geo.errors import FileEmpty, FormatUnknown, FormatUnsupported, ShapefileNotZipped

ZIP: Final = "zip"
GEOPACKAGE: Final = "gpkg"
GEOJSON: Final = "geojson"
XML: Final = "xml"
PARQUET: Final = "parquet"
TEXT: Final = "csv"

HEAD_BYTES: Final = 4096
_SHAPEFILE: Final = b"\x00\x00\x27\x0a"
_MAGIC: Final = (
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"SQLite format 3\x00", GEOPACKAGE),
    (b"PAR1", PARQUET),
)
_NAMED: Final = (
    (b"PARE", "encrypted Parquet"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF", "PDF"),
    (b"AC10", "DWG"),
    (b"AutoCAD Binary DXF", "DXF"),
    (b"!table", "MapInfo TAB"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "RAR"),
    (b"\x1f\x8b", "gzip"),
    (b"\x00\x01\x00\x00Standard", "Access (MDB)"),
    (b"\xd0\xcf\x11\xe0", "Excel (XLS)"),
    (b"fgb\x03", "FlatGeobuf"),
    (b"\x89HDF", "HDF5"),
)
_TEXTS: Final = (
    (re.compile(rb"\s*0\s*\r?\n\s*SECTION\b"), "DXF"),
    (re.compile(rb"\s*999\s*\r?\n"), "DXF"),
    (re.compile(rb"(?i)\s*version\s+\d+\s*\r?\n\s*charset\b"), "MapInfo MIF"),
    (re.compile(rb"EXP\s+[01]\b"), "ArcInfo E00"),
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def kind_of(file: Path) -> str:
    """The kind of reader a file needs.

    Raises FileEmpty, ShapefileNotZipped, FormatUnsupported, FormatUnknown, and OSError.
    Text that is nothing else is taken for CSV; whether there are outlines in it, its reader finds out.
    """
    with file.open("rb") as stream:
        start = stream.read(HEAD_BYTES)
    if not start:
        raise FileEmpty
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    if start.startswith(_SHAPEFILE):
        raise ShapefileNotZipped
    for magic, name in _NAMED:
        if start.startswith(magic):
            raise FormatUnsupported(found=name)
    return _text_kind(start)


def _text_kind(start: bytes) -> str:
    wide = start.startswith(_UTF16)
    body = start.replace(b"\x00", b"")[2:] if wide else start.removeprefix(b"\xef\xbb\xbf")
    first = body.lstrip()[:1]
    if first == b"<":
        return XML
    if first in (b"{", b"[") and not wide:
        return GEOJSON
    for pattern, name in _TEXTS:
        if pattern.match(body):
            raise FormatUnsupported(found=name)
    if not body.strip() or (not wide and _CONTROL.search(body)):
        raise FormatUnknown
    return TEXT
